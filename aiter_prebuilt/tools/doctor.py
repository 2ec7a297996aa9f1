"""What ``aiter-prebuilt doctor`` reports: this host, and what would happen to each module."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiter_prebuilt import _hook, settings
from aiter_prebuilt.choice.verdict import Verdict
from aiter_prebuilt.generations import Generation
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host import hip, process, torch_build
from aiter_prebuilt.host.aiter import AiterFacts
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import installed, jitdir, running, supply
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store


@value_class(frozen=True, kw_only=True)
class ModuleState:
    """What AITER would get for one module."""

    stock_name: str
    """AITER's name for it."""
    verdict: Verdict
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
    seen = supply.image() if image else supply.seen(facts.gpu, hiding)
    facts = replace(facts, gpu=seen.gpu)
    jit = jitdir.gather(asked, Path(facts.aiter.root) if facts.aiter is not None else None)
    maps = process.PROC / (str(pid) if pid is not None else "self") / "maps"
    there = supply.Host(
        asked=asked,
        shelves=shelves,
        jit=jit,
        gpu=seen.gpu,
        view=host.View(gpu=seen.gpu),
        finder=_hook.place(),
    )
    names = names_asked(shelves, installed.generation(facts.aiter))
    return Report(
        settings={name: getattr(asked, name) for name in Settings.__slots__},
        finder=there.finder,
        host=facts,
        visible=seen.text,
        running=of,
        hip_copies=tuple((copy, owner(copy.path)) for copy in hip.mapped_copies(maps)),
        torch=_torch(),
        jit=jit,
        modules=tuple(state_of(supply.judge_module(name, there)) for name in names),
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


def owner(path: str) -> str:
    """Say whose copy of the HIP runtime a path is."""
    if "/torch/lib/" in path:
        return "torch"
    if "_rocm_sdk" in path:
        return "ROCm from pip"
    return "ROCm installation" if "/rocm" in path else "system"


def names_asked(shelves: tuple[store.Shelf, ...], generation: Generation) -> tuple[str, ...]:
    """Return the names under which an AITER of that generation asks for the wheels' modules."""
    names = {
        generation.stock_name(entry.module.features)
        if entry.module.features is not None and entry.module.harvest is None
        else entry.module.stock_name
        for entry in store.entries(shelves)
    }
    return tuple(sorted(names))


def state_of(judged: supply.Judged) -> ModuleState:
    """Return what is told of a module."""
    return ModuleState(
        stock_name=judged.stock_name,
        verdict=judged.supply.verdict,
        reasons=judged.reasons,
        notes=judged.notes,
    )


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
    return [Reason(code="inactive", message=supply.INACTIVE)]


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
