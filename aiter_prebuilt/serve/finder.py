"""The decision: a spec for a prebuilt module, or None so that AITER's own loader goes on.

AITER builds a module when its import raises ModuleNotFoundError and treats every other exception
as fatal.  So each doubt ends in None (importlib then raises ModuleNotFoundError by itself) and the
reason goes to :mod:`aiter_prebuilt.serve.record`; only with AITER_PREBUILT=strict is it an error.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec

from aiter_prebuilt import releases, settings
from aiter_prebuilt.errors import BinaryError, StrictMissError
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host.match import hip_runtime, match
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import record, report, strict
from aiter_prebuilt.serve.loader import PrebuiltLoader
from aiter_prebuilt.serve.offer import Offer
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.binary import CheckedFile, check

FAMILY = "module_moe_ck2stages_"
"""Modules that AITER's dispatch names by their features; a miss of one costs a compile."""

_gone: dict[str, Reason] = {}
"""Modules (by own name) whose load failed in this process: they are not tried again."""


def find(fullname: str, path: Sequence[str] | None = None) -> ModuleSpec | None:
    """Return the spec that serves ``fullname``, None where AITER has to go on by itself.

    Raises StrictMissError in strict mode only.
    """
    asked = settings.Settings()
    stock_name = fullname.rpartition(".")[2]
    try:
        asked = settings.read()
        for problem in asked.problems:
            record.add("*", "setting", problem)
        if "." not in fullname and asked.jit_dir is None:
            return None
        report.say_at_exit()
        found = _spec(fullname, stock_name, path, asked)
    except StrictMissError:
        raise
    except Exception as error:  # a fault of ours must end in AITER's own build
        _decline(stock_name, [Reason(code="internal", message=repr(error))], asked)
        found = None
    if found is None:
        report.left_to_aiter(fullname)
    return found


def _spec(
    fullname: str, stock_name: str, path: Sequence[str] | None, asked: settings.Settings
) -> ModuleSpec | None:
    if asked.mode == "off" or asked.rebuild >= 1:
        _stand_aside(stock_name, asked)
        return None
    shelves = store.read_all()
    entries = store.candidates(shelves, stock_name)
    if not entries:
        _not_shipped(stock_name, shelves, asked)
        return None
    offers, reasons = judge(entries, asked)
    if not offers:
        _decline(stock_name, reasons, asked)
        return None
    loader = PrebuiltLoader(stock_name, offers, asked, gone=_gone, path=path)
    return importlib.util.spec_from_file_location(
        fullname,
        offers[0].entry.path,
        loader=loader,  # type: ignore[arg-type]  # by its methods
    )


def judge(
    entries: Iterable[store.Entry], asked: settings.Settings, view: host.View = host.THIS_HOST
) -> tuple[tuple[Offer, ...], list[Reason]]:
    """Return the modules that may be served, each already checked or not, and why others not.

    The first one is checked to the last byte; the rest only when a call needs them.  ``view`` says
    what counts instead of this host's own, where an image is judged that will run elsewhere.
    """
    known = releases.checked_sources()
    offers: list[Offer] = []
    reasons: list[Reason] = []
    hosts: dict[tuple[str, bool], host.HostFacts] = {}
    for entry in entries:
        runtime = hip_runtime(entry.module.needed) or host.DEFAULT_RUNTIME
        key = (runtime, entry.module.harvest is not None)
        if key not in hosts:
            hosts[key] = view.of(host.gather(asked, runtime, harvest=key[1]))
        facts = hosts[key]
        verdict = match(entry.module, entry.contracts, facts, known)
        found = [reason for reason in verdict.reasons if reason.code not in view.assumed]
        if entry.module.name in _gone:
            found.append(_gone[entry.module.name])
        checked: CheckedFile | None = None
        if not found and not offers:
            try:
                checked = check(entry.module, entry.path, facts.glibc)
            except BinaryError as error:
                found.append(Reason(code=error.code, message=str(error)))
        if found:
            reasons += found
        else:
            agreed = {n: c for n, c in entry.contracts.items() if n == verdict.contract}
            kept = entry.meeting(agreed)
            offers.append(Offer(entry=kept, facts=facts, checked=checked, notes=verdict.notes))
    return tuple(offers), reasons


def _stand_aside(stock_name: str, asked: settings.Settings) -> None:
    if asked.mode == "off":
        record.add(stock_name, "off", "AITER_PREBUILT is off", level=logging.DEBUG)
    else:
        message = f"AITER_REBUILD is {asked.rebuild}: standing aside"
        record.add(stock_name, "rebuild", message, level=logging.INFO)


def _not_shipped(
    stock_name: str, shelves: tuple[store.Shelf, ...], asked: settings.Settings
) -> None:
    broken = [shelf.reason for shelf in shelves if shelf.reason is not None]
    if stock_name.startswith(FAMILY):
        missing = Reason(code="not-shipped", message="no installed wheel has it")
        _decline(stock_name, broken or [missing], asked)


def _decline(stock_name: str, reasons: list[Reason], asked: settings.Settings) -> None:
    for reason in reasons:
        level = logging.INFO if reason.code == "not-shipped" else logging.WARNING
        record.add(stock_name, reason.code, f"not served, {reason.message}", level=level)
    internal = any(reason.code == "internal" for reason in reasons)
    if asked.mode == "strict" and (stock_name.startswith(FAMILY) or not internal):
        text = "; ".join(f"{reason.message} ({reason.code})" for reason in reasons)
        raise strict.miss(stock_name, text)
