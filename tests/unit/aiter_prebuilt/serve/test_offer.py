from __future__ import annotations

import types
from typing import Any

import pytest

from aiter_prebuilt import generations
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import offer as served
from aiter_prebuilt.serve.offer import Offer, RefusedError, first_that_loads
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.wheel import manifest as m
from tests.unit.aiter_prebuilt import samples

HARVEST = m.Harvest(aiter_version="0.1", aiter_sources="0" * 64, cpython=None, torch=None)


def offer(coverage: str, harvest: m.Harvest | None = None, *notes: Reason) -> Offer:
    name = samples.STOCK if coverage == "full" else f"{samples.STOCK}__{coverage}_0"
    entry = samples.entry(samples.module(name=name, coverage=coverage, harvest=harvest))
    return Offer(entry=entry, facts=samples.host(), checked=None, notes=notes)


@pytest.mark.parametrize("coverage", ["deployed", "sound", "full"])
def test_a_module_of_ours_has_to_hand_calls_on(coverage: str) -> None:
    with pytest.raises(RefusedError, match="no _set_uncovered"):
        served._check_guard(offer(coverage), types.ModuleType("m"))


def test_a_module_that_aiter_compiled_needs_no_guard() -> None:
    served._check_guard(offer("full", HARVEST), types.ModuleType("m"))


def test_an_offer_knows_whether_its_aiter_was_checked() -> None:
    unknown = Reason(code="aiter-unknown", message="a note")
    assert offer("full").aiter_known
    assert not offer("full", None, unknown).aiter_known


@pytest.mark.parametrize("coverage", ["deployed", "sound", "full", "harvested"])
def test_every_module_of_ours_gets_a_guard(coverage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[Any] = []
    module = types.ModuleType("m")
    module._set_uncovered = handlers.append  # type: ignore[attr-defined]
    monkeypatch.setattr(served, "load", lambda _offer, _asked: module)
    ours = coverage != "harvested"
    first, second = offer(coverage) if ours else offer("full", HARVEST), offer("full")
    found = first_that_loads(
        [first, second],
        Settings(),
        guard=lambda own, rest: lambda: (own, tuple(rest)),
        refuse=lambda _offer, reason: pytest.fail(reason.message),
    )
    assert found is not None
    assert found.offer is first
    assert [handler() for handler in handlers] == [(first, (second,))] * ours


def test_the_next_one_is_tried_and_the_refused_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = Reason(code="load", message="broken")
    module = types.ModuleType("m")
    guards: list[str] = []
    module._set_uncovered = guards.append  # type: ignore[attr-defined]

    def load(own: Offer, _asked: Settings) -> types.ModuleType:
        if own.entry.module.coverage == "deployed":
            raise RefusedError(reason)
        return module

    monkeypatch.setattr(served, "load", load)
    refused: list[tuple[str, Reason]] = []
    found = first_that_loads(
        [offer("deployed"), offer("full")],
        Settings(),
        guard=lambda _own, _rest: "guard",  # type: ignore[arg-type,return-value]
        refuse=lambda own, why: refused.append((own.entry.module.coverage, why)),
    )
    assert found is not None
    assert found.module is module
    assert refused == [("deployed", reason)]
    assert guards == ["guard"]


def test_none_where_no_offer_can_be_loaded() -> None:
    found = first_that_loads(
        [],
        Settings(),
        guard=lambda _own, _rest: pytest.fail("there is none"),
        refuse=lambda _own, _why: pytest.fail("there is none"),
    )
    assert found is None


@pytest.mark.parametrize(("release", "forgotten"), [("v0.1.12.post2", True), ("v0.1.13", False)])
def test_an_older_aiter_does_not_know_what_came_later(
    release: str, forgotten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = generations.load()
    (sources,) = (each.parts.sources for each in book.releases if each.tag == release)
    newer = f"moe_ck2stages_gemm1_{book.generations['v0.1.12'].unknown_instances[0]}_x"
    entry = samples.entry(samples.module(instances=(samples.instance(newer),)))
    facts = samples.host(aiter=samples.installed(fingerprint=sources))
    module = types.ModuleType("m")
    module._set_uncovered = lambda _: None  # type: ignore[attr-defined]
    module.ck_moe_stage1 = lambda *args: args  # type: ignore[attr-defined]
    monkeypatch.setattr(served, "load", lambda _offer, _asked: module)
    found = first_that_loads(
        [Offer(entry=entry, facts=facts, checked=None, notes=())],
        Settings(),
        guard=lambda _own, _rest: "guard",  # type: ignore[arg-type,return-value]
        refuse=lambda _own, why: pytest.fail(why.message),
    )
    assert found is not None
    reached = found.module.ck_moe_stage1("states", 8, newer)
    assert (reached == ("states", 8, newer)) != forgotten
