from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt import loader, store
from aiter_prebuilt.guard import Guard
from aiter_prebuilt.loader import Offer, PrebuiltLoader, RefusedError
from aiter_prebuilt.settings import Settings
from tests.unit.aiter_prebuilt import samples


def offer(coverage: str) -> Offer:
    name = samples.STOCK if coverage == "full" else f"{samples.STOCK}__{coverage}_0"
    entry = store.Entry(
        folder=Path("site"),
        module=samples.module(name=name, coverage=coverage),
        contract=samples.contract(),
    )
    return Offer(entry=entry, facts=samples.host(), checked=None, notes=())


@pytest.mark.parametrize("coverage", ["deployed", "sound"])
def test_a_module_that_holds_less_than_aiters_has_to_hand_calls_on(coverage: str) -> None:
    with pytest.raises(RefusedError, match="no _set_uncovered"):
        loader._check_guard(offer(coverage), types.ModuleType("m"))


def test_a_full_module_needs_no_guard() -> None:
    loader._check_guard(offer("full"), types.ModuleType("m"))


@pytest.mark.parametrize(("coverage", "guarded"), [("deployed", 1), ("sound", 1), ("full", 0)])
def test_only_such_a_module_gets_a_guard(coverage: str, guarded: int) -> None:
    handlers: list[Any] = []
    module = types.ModuleType("m")
    module._set_uncovered = handlers.append  # type: ignore[attr-defined]
    own = offer(coverage)
    made = PrebuiltLoader(samples.STOCK, [own], Settings(), gone={}, path=None)
    made._guard(module, own, ())
    assert len(handlers) == guarded
    assert all(isinstance(handler, Guard) for handler in handlers)
