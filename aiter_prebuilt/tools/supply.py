"""What an AITER on a host gets when it asks for a module: the one verdict, before any call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aiter_prebuilt import target
from aiter_prebuilt.choice import verdict
from aiter_prebuilt.choice.explain import Supply
from aiter_prebuilt.choice.verdict import Verdict
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host.gpu import GpuFacts, counted, left_visible
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve.finder import FAMILY, judge
from aiter_prebuilt.serve.offer import Offer
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import jitdir
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import Module

INACTIVE = (
    "no start-up file activated the finder in this interpreter: site-packages' .pth files were "
    "not read (python -S, PYTHONPATH, pip --target); call aiter_prebuilt.install() before AITER"
)
WITHOUT_SPLIT_K = (
    "split K needs a newer composable kernel than that of ROCm 7.2; AITER_KSPLIT=-1 goes without"
)
"""Why the usual wheel has no split-K module, and what makes a call stay within it."""
STRICT = "AITER_PREBUILT=strict"


@value_class(frozen=True, kw_only=True)
class Host:
    """What decides whether a module is served."""

    asked: Settings
    shelves: tuple[store.Shelf, ...]
    jit: jitdir.JitFacts | None
    """Where AITER's own builds lie; None where that is not known."""
    gpu: GpuFacts
    """The GPUs that a process sees."""
    view: host.View
    finder: str
    """Where the finder stands: ``end``, ``front``, or ``absent``."""


@value_class(frozen=True, kw_only=True)
class Judged:
    """The verdict on one module, with all that was found."""

    stock_name: str
    """AITER's name for it."""
    supply: Supply
    reasons: tuple[Reason, ...] = ()
    """Why modules of the wheel are not served."""
    notes: tuple[Reason, ...] = ()


def judge_module(name: str, there: Host) -> Judged:
    """Judge what AITER gets when it asks for ``name``."""
    entries = store.candidates(there.shelves, name)
    table = next((entry.module.instances for entry in entries if entry.module.instances), ())
    own = _aiters_own(name, there)
    if own is not None:
        return Judged(stock_name=name, supply=Supply(verdict=own, table=table))
    aside = _standing_aside(there)
    if aside:
        told = verdict.compiles(verdict.builder_of(name), name, aside)
        return Judged(stock_name=name, supply=Supply(verdict=told, table=table))
    offers, reasons = judge(entries, there.asked, there.view)
    if there.finder == "absent":
        offers, reasons = (), [Reason(code="inactive", message=INACTIVE), *reasons]
    if not offers:
        told = _declined(name, entries, reasons, there)
        supply = Supply(verdict=told, table=table)
        return Judged(stock_name=name, supply=supply, reasons=tuple(reasons))
    supply = Supply(
        verdict=_served(name, offers[0]),
        modules=_in_turn(offers, there.asked),
        table=table,
        beyond=_beyond(name, there.asked),
    )
    return Judged(
        stock_name=name, supply=supply, reasons=tuple(reasons), notes=tuple(offers[0].notes)
    )


def _served(name: str, first: Offer) -> Verdict:
    module = first.entry.module
    after = ", after importing torch" if first.facts.hip.torch_pending else ""
    why = f"{module.coverage} module{after}"
    return verdict.prebuilt(module.name, name, why)


def _in_turn(offers: Sequence[Offer], asked: Settings) -> tuple[Module, ...]:
    """The modules that get a call, one after the other, as the guard goes on to them."""
    kept = offers if asked.uncovered in ("auto", "full") else offers[:1]
    return tuple(offer.entry.module for offer in kept)


def _beyond(name: str, asked: Settings) -> Verdict:
    """What becomes of a call that no module of the wheels holds the kernel for."""
    if asked.uncovered in ("full", "error"):
        by = f"AITER_PREBUILT_UNCOVERED={asked.uncovered}"
    elif asked.mode == "strict" and asked.uncovered == "auto":
        by = STRICT
    else:
        return verdict.compiles(verdict.builder_of(name), name)
    return verdict.refused(by, name, "no build of AITER's own is allowed")


def _declined(
    name: str, entries: Sequence[store.Entry], reasons: Sequence[Reason], there: Host
) -> Verdict:
    whys = [reason.message for reason in reasons]
    if not entries:
        whys += [shelf.reason.message for shelf in there.shelves if shelf.reason is not None]
        whys += [_not_shipped(name)] if name.startswith(FAMILY) and not whys else []
    why = "; ".join(dict.fromkeys(whys))
    active = there.asked.mode == "strict" and there.finder != "absent"
    if active and (entries or name.startswith(FAMILY)):
        return verdict.refused(STRICT, name, why)
    return verdict.compiles(verdict.builder_of(name), name, why)


def _not_shipped(name: str) -> str:
    return "no wheel has it" + (
        f": {WITHOUT_SPLIT_K}" if verdict.builder_of(name) == verdict.SPLIT_K else ""
    )


def _standing_aside(there: Host) -> str:
    """Why the finder answers for no module at all; empty where it does."""
    if there.asked.rebuild >= 1:
        return f"AITER_REBUILD={there.asked.rebuild}"
    return "AITER_PREBUILT=off" if there.asked.mode == "off" else ""


def _aiters_own(name: str, there: Host) -> Verdict | None:
    """What a file of AITER's own in its JIT folder means, None where it means nothing."""
    jit, asked = there.jit, there.asked
    own = jitdir.own_file(Path(jit.folder), name) if jit is not None else None
    if jit is None or own is None or asked.rebuild >= 1:
        return None
    by = verdict.builder_of(name)
    others = jitdir.targets_of(own) if there.gpu.targets else frozenset[str]()
    foreign = bool(others) and there.gpu.targets[0] not in others
    what = f"AITER's own {own}"
    if foreign:
        what += f" holds code for {', '.join(sorted(others))} only"
        if jit.rejects_other_gpus:  # before it asks anybody for the module
            why = f"{what}: AITER rejects it and compiles; remove it to be served"
            return verdict.compiles(by, name, why)
    elif not name.startswith(FAMILY):
        return verdict.prebuilt(f"AITER's own build of {by}", name, str(own))
    if asked.mode == "prefer" and there.finder != "absent":
        return None
    found = "and is found first; remove it to be served" if foreign else "is found first"
    return verdict.compiled_already(by, name, f"{what}{', ' if foreign else ' '}{found}")


@value_class(frozen=True, kw_only=True)
class Seen:
    """The GPUs that a process with these settings sees once its torch has started."""

    gpu: GpuFacts
    text: str | None = None
    """What variables leave of them; None where none is set."""
    problems: tuple[Reason, ...] = ()


def image() -> Seen:
    """Return the GPUs of an image that is built without one, for one."""
    return Seen(gpu=GpuFacts(source="image", targets=(target.load().gfx,)))


def seen(found: GpuFacts, hiding: tuple[tuple[str, str], ...]) -> Seen:
    """Return what the variables ``hiding`` (names and values) leave of the driver's list."""
    if not hiding or found.source != "kfd":  # torch's list has them in it
        return Seen(gpu=found)
    text = ", ".join(f"{name}={value}" for name, value in hiding)
    left = left_visible(found.targets, hiding)
    if left is None:
        message = (
            f"{text}: which GPUs that leaves is not known before torch has started; all that the "
            "driver lists are judged here"
        )
        problem = Reason(code="visible-devices", message=message)
        return Seen(gpu=found, text=text, problems=(problem,))
    text = f"{text} leaves {counted(left) or 'none'} of {counted(found.targets)}"
    hidden = (Reason(code="visible-devices", message=text),) if not left else ()
    return Seen(gpu=replace(found, targets=left), text=text, problems=hidden)
