"""What ``aiter-prebuilt doctor`` reports: this host, and what would happen to each module."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from aiter_prebuilt import _hook, settings, target
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host import hip, process, torch_build
from aiter_prebuilt.host.aiter import AiterFacts
from aiter_prebuilt.host.gpu import GpuFacts, counted, left_visible
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve.finder import judge
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import jitdir, running
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store

State = Literal["served", "shadowed", "compiles", "declined", "standing aside"]
"""``shadowed``: a file of AITER's own comes first; ``compiles``: AITER rejects that file."""


@value_class(frozen=True, kw_only=True)
class ModuleState:
    """What AITER would get for one module."""

    stock_name: str
    state: State
    detail: str
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]


@value_class(frozen=True, kw_only=True)
class Report:
    """All that ``doctor`` knows."""

    settings: dict[str, Any]
    finder: str
    """Where the finder stands in this interpreter: ``end``, ``front``, or ``absent``."""
    host: host.HostFacts
    visible: str | None
    """What variables leave of the host's GPUs; None where none is set."""
    running: running.Running | None
    """The process of ``--pid``."""
    hip_copies: tuple[tuple[hip.HipCopy, str], ...]
    """Runtimes that are mapped (in this process or in ``--pid``), and whose each is."""
    torch: str | None
    """Version and place of the installed torch."""
    jit: jitdir.JitFacts | None
    modules: tuple[ModuleState, ...]
    problems: tuple[Reason, ...]
    """What is wrong beside the modules: manifests, settings, locks."""


def examine(asked: Settings, pid: int | None = None, *, image: bool = False) -> Report:
    """Look at everything; ``pid`` names a running process to look at, whose settings then count.

    With ``image`` the host's GPU does not count: an image is built without one, for one.
    """
    of, blind = _look(pid)
    asked = asked if of is None else of.asked
    shelves = store.read_all()
    facts = host.gather(asked)
    hiding = settings.visible() if of is None else of.visible
    seen = _IMAGE if image else _seen(facts.gpu, hiding)
    facts = replace(facts, gpu=seen.gpu)
    root = Path(facts.aiter.root) if facts.aiter is not None else None
    jit = jitdir.gather(asked, root)
    maps = process.PROC / (str(pid) if pid is not None else "self") / "maps"
    names = sorted({entry.module.stock_name for entry in store.entries(shelves)})
    return Report(
        settings={name: getattr(asked, name) for name in Settings.__slots__},
        finder=_hook.place(),
        host=facts,
        visible=seen.text,
        running=of,
        hip_copies=tuple((copy, owner(copy.path)) for copy in hip.mapped_copies(maps)),
        torch=_torch(),
        jit=jit,
        modules=tuple(_state(name, shelves, asked, jit, seen.gpu) for name in names),
        problems=(
            *_finder_problems(),
            *blind,
            *_aiter_problems(of, facts.aiter),
            *seen.problems,
            *_torch_problems(),
            *_shelf_problems(shelves),
            *_setting_problems(asked),
            *_jit_problems(jit),
        ),
    )


def _look(pid: int | None) -> tuple[running.Running | None, list[Reason]]:
    try:
        return (None if pid is None else running.look(pid)), []
    except running.ProcessError as error:
        return None, [Reason(code="process", message=str(error))]


@value_class(frozen=True, kw_only=True)
class _Seen:
    """The GPUs that a process with these settings sees once its torch has started."""

    gpu: GpuFacts
    text: str | None
    problems: tuple[Reason, ...]


_IMAGE = _Seen(gpu=GpuFacts(source="image", targets=(target.load().gfx,)), text=None, problems=())


def _seen(found: GpuFacts, hiding: tuple[tuple[str, str], ...]) -> _Seen:
    if not hiding or found.source != "kfd":  # torch's list has them in it
        return _Seen(gpu=found, text=None, problems=())
    text = ", ".join(f"{name}={value}" for name, value in hiding)
    left = left_visible(found.targets, hiding)
    if left is None:
        message = (
            f"{text}: which GPUs that leaves is not known before torch has started; all that the "
            "driver lists are judged here"
        )
        problem = Reason(code="visible-devices", message=message)
        return _Seen(gpu=found, text=text, problems=(problem,))
    text = f"{text} leaves {counted(left) or 'none'} of {counted(found.targets)}"
    hidden = (Reason(code="visible-devices", message=text),) if not left else ()
    return _Seen(gpu=replace(found, targets=left), text=text, problems=hidden)


def owner(path: str) -> str:
    """Say whose copy of the HIP runtime a path is."""
    if "/torch/lib/" in path:
        return "torch"
    if "_rocm_sdk" in path:
        return "ROCm from pip"
    return "ROCm installation" if "/rocm" in path else "system"


def _state(
    name: str,
    shelves: tuple[store.Shelf, ...],
    asked: Settings,
    jit: jitdir.JitFacts | None,
    gpu: GpuFacts,
) -> ModuleState:
    if asked.mode == "off" or asked.rebuild >= 1:
        why = "AITER_PREBUILT=off" if asked.mode == "off" else f"AITER_REBUILD={asked.rebuild}"
        return _plain(name, "standing aside", why)
    aiters = _aiters_own(name, asked, jit, gpu) if jit is not None else None
    if aiters is not None:
        return aiters
    offers, reasons = judge(store.candidates(shelves, name), asked, gpu)
    if not offers:
        text = "; ".join(reason.message for reason in reasons)
        return ModuleState(
            stock_name=name, state="declined", detail=text, reasons=tuple(reasons), notes=()
        )
    first = offers[0]
    after = ", after importing torch" if first.facts.hip.torch_pending else ""
    return ModuleState(
        stock_name=name,
        state="served",
        detail=f"{first.entry.module.coverage}, {first.entry.path}{after}",
        reasons=tuple(reasons),
        notes=first.notes,
    )


def _aiters_own(
    name: str, asked: Settings, jit: jitdir.JitFacts, gpu: GpuFacts
) -> ModuleState | None:
    """What a file of AITER's own in its JIT folder means, None where it means nothing."""
    own = jitdir.own_file(Path(jit.folder), name)
    if own is None:
        return None
    others = jitdir.targets_of(own) if gpu.targets else frozenset[str]()
    if others and gpu.targets[0] not in others:
        what = f"AITER's own {own} holds code for {', '.join(sorted(others))} only"
        if jit.rejects_other_gpus:  # before it asks anybody for the module
            text = f"{what}: AITER rejects it and compiles; remove it to be served"
            return _plain(name, "compiles", text)
        if asked.mode != "prefer":
            return _plain(name, "shadowed", f"{what}, and is found first; remove it to be served")
    if asked.mode == "prefer":
        return None
    return _plain(name, "shadowed", f"AITER's own {own} is found first")


def _plain(name: str, state: State, detail: str) -> ModuleState:
    return ModuleState(stock_name=name, state=state, detail=detail, reasons=(), notes=())


def _torch() -> str | None:
    try:
        spec = importlib.util.find_spec("torch")
        version = importlib.metadata.version("torch")
    except (ImportError, ValueError):
        return None
    kind = {None: "", "": ", no build for ROCm"}.get(torch_build.hip(), ", built for ROCm")
    return f"{version} at {Path(spec.origin).parent}{kind}" if spec and spec.origin else version


def _torch_problems() -> list[Reason]:
    if torch_build.hip() != "":
        return []
    message = "the installed torch is no build for ROCm (its version.py says hip = None)"
    return [Reason(code="torch-build", message=f"{message}: AITER cannot run with it")]


def _finder_problems() -> list[Reason]:
    if _hook.place() != "absent":
        return []
    message = (
        "no start-up file activated the finder in this interpreter: site-packages' .pth files were "
        "not read (python -S, PYTHONPATH, pip --target); call aiter_prebuilt.install() before AITER"
    )
    return [Reason(code="inactive", message=message)]


def _aiter_problems(of: running.Running | None, here: AiterFacts | None) -> list[Reason]:
    """The modules are judged by the AITER of this interpreter; the process may have another."""
    found = None if here is None else here.root
    if of is None or of.aiter is None or of.aiter == found:
        return []
    message = (
        f"process {of.pid} has AITER {of.aiter_version or '(unknown version)'} at {of.aiter}, this "
        f"interpreter {found or 'none'}: run doctor with that process's interpreter"
    )
    return [Reason(code="process-aiter", message=message)]


def _shelf_problems(shelves: tuple[store.Shelf, ...]) -> list[Reason]:
    return [shelf.reason for shelf in shelves if shelf.reason is not None]


def _setting_problems(asked: Settings) -> list[Reason]:
    return [Reason(code="setting", message=problem) for problem in asked.problems]


def _jit_problems(jit: jitdir.JitFacts | None) -> list[Reason]:
    if jit is None:
        return []
    found = [
        Reason(code="lock", message=f"{lock.path} is {lock.state}: {lock.detail}")
        for lock in jit.locks
        if lock.state != "held"
    ]
    if jit.exists and not jit.writable:
        found.append(
            Reason(code="read-only", message=f"{jit.folder} is read-only: AITER cannot build there")
        )
    if jit.hidden:
        message = f"AITER_JIT_DIR hides {len(jit.hidden)} modules of the aiter package"
        found.append(Reason(code="hidden", message=f"{message}: {', '.join(jit.hidden)}"))
    return found
