"""The loader: maps a checked module and hands it to importlib under AITER's name."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from aiter_prebuilt import hip, record
from aiter_prebuilt.binary import CheckedFile, check
from aiter_prebuilt.errors import BinaryError, StrictMissError
from aiter_prebuilt.host import DEFAULT_RUNTIME, HostFacts
from aiter_prebuilt.match import Reason, hip_runtime, judge_hip
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.store import Entry
from aiter_prebuilt.values import value_class


@value_class(frozen=True, kw_only=True)
class Offer:
    """A module that fits this host."""

    entry: Entry
    facts: HostFacts
    checked: CheckedFile | None
    """None: its bytes are not checked yet."""
    notes: tuple[Reason, ...]


class RefusedError(Exception):
    """An offer could not be loaded after all."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


def load(offer: Offer, asked: Settings) -> ModuleType:
    """Map and start an offered module; raises RefusedError with the reason where it cannot be."""
    try:
        _settle_hip(offer, asked)
        checked = offer.checked or check(offer.entry.module, offer.entry.path, offer.facts.glibc)
        module = checked.load()
        checked.execute(module)
        _check_guard(offer, module)
    except BinaryError as error:
        raise RefusedError(Reason(code=error.code, message=str(error))) from error
    except RefusedError:
        raise
    except Exception as error:  # whatever a module's own start raises, AITER has to go on
        message = f"{offer.entry.path} cannot be loaded: {error}"
        raise RefusedError(Reason(code="load", message=message)) from error
    module.__file__ = str(offer.entry.path)
    return module


def _check_guard(offer: Offer, module: ModuleType) -> None:
    """A reduced module that cannot hand calls on must not stand under AITER's name."""
    if offer.entry.module.coverage != "full" and not hasattr(module, "_set_uncovered"):
        message = f"{offer.entry.path} is reduced and has no _set_uncovered"
        raise RefusedError(Reason(code="load", message=message))


def _settle_hip(offer: Offer, asked: Settings) -> None:
    """Make sure that the one HIP runtime of this process is there before the module is.

    torch brings its own copy; loaded after the module, it would be a second one.
    """
    needed = hip_runtime(offer.entry.module.needed)
    if needed is None or not offer.facts.hip.torch_pending:
        return
    try:
        importlib.import_module("torch")
    except Exception as error:
        message = f"torch is installed but cannot be imported: {error!r}"
        raise RefusedError(Reason(code="torch-import", message=message)) from error
    found = hip.gather(needed or DEFAULT_RUNTIME, asked.library_path)
    for reason in judge_hip(offer.entry.module.needed, found):
        raise RefusedError(reason)


class PrebuiltLoader:
    """Serves the first of the offers that loads; the others stand by for what it leaves out.

    A loader by its two methods; ``importlib.abc.Loader`` as a base would cost 4 ms of imports.
    """

    def __init__(
        self,
        stock_name: str,
        offers: Sequence[Offer],
        asked: Settings,
        *,
        gone: dict[str, Reason],
        path: Sequence[str] | None,
    ) -> None:
        self._stock_name, self._offers = stock_name, tuple(offers)
        self._asked, self._gone, self._path = asked, gone, path
        self._own: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the served module; raises ModuleNotFoundError (AITER then builds) or strict's."""
        begun = time.perf_counter()
        refused: list[Reason] = []
        for position, offer in enumerate(self._offers):
            try:
                module = load(offer, self._asked)
            except RefusedError as error:
                refused.append(error.reason)
                self._gone[offer.entry.module.name] = error.reason
                continue
            self._guard(module, offer, self._offers[position + 1 :])
            self._log(offer, time.perf_counter() - begun)
            return module
        for reason in refused:
            record.add(self._stock_name, reason.code, f"not served, {reason.message}")
        text = "; ".join(f"{reason.message} ({reason.code})" for reason in refused)
        message = f"{self._stock_name} cannot be served prebuilt: {text}"
        if self._asked.mode == "strict":
            raise StrictMissError(f"AITER_PREBUILT=strict and {message}", name=self._stock_name)
        own = self._aiters_own(spec)
        if own is None:
            raise ModuleNotFoundError(message, name=spec.name)
        return own

    def exec_module(self, module: ModuleType) -> None:
        """Start AITER's own module; a prebuilt one was started when it was created."""
        if self._own is not None and self._own.loader is not None:
            self._own.loader.exec_module(module)

    def _aiters_own(self, spec: ModuleSpec) -> ModuleType | None:
        """With AITER_PREBUILT=prefer AITER's file may lie behind us: it saves a compile."""
        found = PathFinder.find_spec(spec.name, self._path)
        if found is None or found.loader is None or not found.has_location:
            return None
        module = found.loader.create_module(found)
        if module is not None:
            self._own = found
            module.__file__ = str(found.origin)
        return module

    def _guard(self, module: ModuleType, offer: Offer, rest: Sequence[Offer]) -> None:
        if offer.entry.module.coverage == "full":
            return
        from aiter_prebuilt.guard import Guard

        guard = Guard(self._stock_name, offer.entry, rest, self._asked)
        module._set_uncovered(guard)

    def _log(self, offer: Offer, seconds: float) -> None:
        for note in offer.notes:
            record.add(self._stock_name, note.code, note.message)
        own = offer.entry.module
        facts = offer.facts.aiter
        record.add(
            self._stock_name,
            "served",
            f"served {own.coverage} module {own.key[:8]} from {offer.entry.path} "
            f"in {seconds * 1e3:.1f} ms (AITER {(facts and facts.version) or '?'}, "
            f"Python {sys.version_info[0]}.{sys.version_info[1]})",
            level=logging.INFO,
        )
