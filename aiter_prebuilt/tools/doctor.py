"""What ``aiter-prebuilt doctor`` reports: this host, and what would happen to each module."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from aiter_prebuilt import _hook, target
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host import hip
from aiter_prebuilt.host.gpu import GpuFacts
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve.finder import judge
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import jitdir
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store

_IMAGE_GPU = GpuFacts(source="image", targets=(target.load().gfx,))
State = Literal["served", "shadowed", "declined", "standing aside"]


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
    hip_copies: tuple[tuple[hip.HipCopy, str], ...]
    """Runtimes that are mapped (in this process or in ``--pid``), and whose each is."""
    torch: str | None
    """Version and place of the installed torch."""
    jit: jitdir.JitFacts | None
    modules: tuple[ModuleState, ...]
    problems: tuple[Reason, ...]
    """What is wrong beside the modules: manifests, settings, locks."""


def examine(asked: Settings, pid: int | None = None, *, image: bool = False) -> Report:
    """Look at everything; ``pid`` names a running process whose HIP runtimes are to be shown.

    With ``image`` the host's GPU does not count: an image is built without one, for one.
    """
    shelves = store.read_all()
    facts = host.gather(asked)
    if image:
        facts = replace(facts, gpu=_IMAGE_GPU)
    root = Path(facts.aiter.root) if facts.aiter is not None else None
    jit = jitdir.gather(asked, root)
    maps = Path("/proc", str(pid) if pid is not None else "self", "maps")
    names = sorted({entry.module.stock_name for entry in store.entries(shelves)})
    return Report(
        settings={name: getattr(asked, name) for name in Settings.__slots__},
        finder=_hook.place(),
        host=facts,
        hip_copies=tuple((copy, owner(copy.path)) for copy in hip.mapped_copies(maps)),
        torch=_torch(),
        jit=jit,
        modules=tuple(
            _state(name, shelves, asked, jit, _IMAGE_GPU if image else None) for name in names
        ),
        problems=(
            *_finder_problems(),
            *_process_problems(maps),
            *_shelf_problems(shelves),
            *_setting_problems(asked),
            *_jit_problems(jit),
        ),
    )


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
    gpu: GpuFacts | None,
) -> ModuleState:
    own = jitdir.own_file(Path(jit.folder), name) if jit is not None else None
    if asked.mode == "off" or asked.rebuild >= 1:
        why = "AITER_PREBUILT=off" if asked.mode == "off" else f"AITER_REBUILD={asked.rebuild}"
        return _plain(name, "standing aside", why)
    if own is not None and asked.mode != "prefer":
        return _plain(name, "shadowed", f"AITER's own {own} is found first")
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


def _plain(name: str, state: State, detail: str) -> ModuleState:
    return ModuleState(stock_name=name, state=state, detail=detail, reasons=(), notes=())


def _torch() -> str | None:
    try:
        spec = importlib.util.find_spec("torch")
        version = importlib.metadata.version("torch")
    except (ImportError, ValueError):
        return None
    return f"{version} at {Path(spec.origin).parent}" if spec and spec.origin else version


def _finder_problems() -> list[Reason]:
    if _hook.place() != "absent":
        return []
    message = (
        "no start-up file activated the finder in this interpreter: site-packages' .pth files were "
        "not read (python -S, PYTHONPATH, pip --target); call aiter_prebuilt.install() before AITER"
    )
    return [Reason(code="inactive", message=message)]


def _process_problems(maps: Path) -> list[Reason]:
    try:
        maps.open("rb").close()
    except OSError as error:
        message = f"{maps} cannot be read ({error.strerror}): its HIP runtimes are not known"
        return [Reason(code="process", message=message)]
    return []


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
