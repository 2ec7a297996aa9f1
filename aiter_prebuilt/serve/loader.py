"""The loader: maps a checked module and hands it to importlib under AITER's name."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import record, report, strict
from aiter_prebuilt.serve.offer import Offer, first_that_loads
from aiter_prebuilt.settings import Settings


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

        def refuse(offer: Offer, reason: Reason) -> None:
            refused.append(reason)
            self._gone[offer.entry.module.name] = reason

        served = first_that_loads(self._offers, self._asked, guard=self._guard, refuse=refuse)
        if served is not None:
            self._log(served.offer, time.perf_counter() - begun)
            return served.module
        for reason in refused:
            record.add(self._stock_name, reason.code, f"not served, {reason.message}")
        text = "; ".join(f"{reason.message} ({reason.code})" for reason in refused)
        if self._asked.mode == "strict":
            raise strict.miss(self._stock_name, text)
        own = self._aiters_own(spec)
        if own is None:
            report.left_to_aiter(spec.name)
            message = f"{self._stock_name} cannot be served prebuilt: {text}"
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

    def _guard(self, offer: Offer, rest: Sequence[Offer]) -> Callable[..., object]:
        """The module's guard, made (and its code imported) at the first call that needs it."""
        made: list[Callable[..., object]] = []

        def guard(*refused: object) -> object:
            if not made:
                from aiter_prebuilt.serve.guard import Guard

                known = offer.aiter_known
                made.append(
                    Guard(self._stock_name, offer.entry, rest, self._asked, aiter_known=known)
                )
            return made[0](*refused)

        return guard

    def _log(self, offer: Offer, seconds: float) -> None:
        for note in offer.notes:
            record.add(self._stock_name, note.code, note.message)
        own = offer.entry.module
        facts = offer.facts.aiter
        record.add(
            self._stock_name,
            "served",
            f"served from wheel {offer.entry.version} in {seconds * 1e3:.1f} ms, {own.coverage} "
            f"module {own.key[:8]}, {offer.entry.path} (AITER {(facts and facts.version) or '?'}, "
            f"Python {sys.version_info[0]}.{sys.version_info[1]})",
            level=logging.INFO,
        )
        report.served(
            report.Served(
                module=self._stock_name,
                wheel=offer.entry.version,
                coverage=own.coverage,
                milliseconds=seconds * 1e3,
            )
        )
