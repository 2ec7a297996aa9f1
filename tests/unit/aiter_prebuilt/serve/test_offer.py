from __future__ import annotations

import types
from typing import Any

import pytest

from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import offer as served
from aiter_prebuilt.serve.offer import Offer, RefusedError, first_that_loads
from aiter_prebuilt.settings import Settings
from tests.unit.aiter_prebuilt import samples


def offer(coverage: str) -> Offer:
    name = samples.STOCK if coverage == "full" else f"{samples.STOCK}__{coverage}_0"
    entry = samples.entry(samples.module(name=name, coverage=coverage))
    return Offer(entry=entry, facts=samples.host(), checked=None, notes=())


@pytest.mark.parametrize("coverage", ["deployed", "sound"])
def test_a_module_that_holds_less_than_aiters_has_to_hand_calls_on(coverage: str) -> None:
    with pytest.raises(RefusedError, match="no _set_uncovered"):
        served._check_guard(offer(coverage), types.ModuleType("m"))


def test_a_full_module_needs_no_guard() -> None:
    served._check_guard(offer("full"), types.ModuleType("m"))


@pytest.mark.parametrize(("coverage", "guarded"), [("deployed", 1), ("sound", 1), ("full", 0)])
def test_only_such_a_module_gets_a_guard(
    coverage: str, guarded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: list[Any] = []
    module = types.ModuleType("m")
    module._set_uncovered = handlers.append  # type: ignore[attr-defined]
    monkeypatch.setattr(served, "load", lambda _offer, _asked: module)
    first, second = offer(coverage), offer("full")
    found = first_that_loads(
        [first, second],
        Settings(),
        guard=lambda own, rest: lambda: (own, tuple(rest)),
        refuse=lambda _offer, reason: pytest.fail(reason.message),
    )
    assert found is not None
    assert found.offer is first
    assert [handler() for handler in handlers] == [(first, (second,))] * guarded


def test_the_next_one_is_tried_and_the_refused_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = Reason(code="load", message="broken")
    module = types.ModuleType("m")

    def load(own: Offer, _asked: Settings) -> types.ModuleType:
        if own.entry.module.coverage == "deployed":
            raise RefusedError(reason)
        return module

    monkeypatch.setattr(served, "load", load)
    refused: list[tuple[str, Reason]] = []
    found = first_that_loads(
        [offer("deployed"), offer("full")],
        Settings(),
        guard=lambda _own, _rest: pytest.fail("a full module needs no guard"),
        refuse=lambda own, why: refused.append((own.entry.module.coverage, why)),
    )
    assert found is not None
    assert found.module is module
    assert refused == [("deployed", reason)]


def test_none_where_no_offer_can_be_loaded() -> None:
    found = first_that_loads(
        [],
        Settings(),
        guard=lambda _own, _rest: pytest.fail("there is none"),
        refuse=lambda _own, _why: pytest.fail("there is none"),
    )
    assert found is None
