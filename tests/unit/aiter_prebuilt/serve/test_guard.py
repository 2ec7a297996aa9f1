from __future__ import annotations

import sys
import threading
import types
from typing import Any

import pytest

from aiter_prebuilt import settings
from aiter_prebuilt.errors import UncoveredShapeError
from aiter_prebuilt.serve import guard, jit, record
from tests.unit.aiter_prebuilt import samples


@pytest.fixture(autouse=True)
def _fresh_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_EVENTS", {})


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Stands for AITER's build: notes each one and returns a module that repeats its arguments."""
    calls: list[tuple[Any, ...]] = []

    def build(stock_name: str, function: str, args: tuple[Any, ...]) -> types.ModuleType:
        calls.append((stock_name, function, args))
        module = types.ModuleType(stock_name)
        module.__file__ = "jit.so"
        module.ck_moe_stage1 = lambda *given: given  # type: ignore[attr-defined]
        return module

    monkeypatch.setattr(jit, "build", build)
    return calls


def _guard(
    uncovered: str = "auto",
    coverage: str = "deployed",
    mode: str = "auto",
    *,
    aiter_known: bool = True,
) -> guard.Guard:
    module = samples.module(name=f"{samples.STOCK}__{coverage}_0", coverage=coverage)
    asked = settings.Settings(uncovered=uncovered, mode=mode)
    entry = samples.entry(module)
    return guard.Guard(samples.STOCK, entry, (), asked, aiter_known=aiter_known)


def test_one_build_takes_all_later_calls(built: list[tuple[Any, ...]]) -> None:
    target = _guard()
    assert target("ck_moe_stage1", "instance", "why", ("h", 8), None) == ("h", 8)
    assert target("ck_moe_stage1", "instance", "why", ("h", 9), {}) == ("h", 9)
    assert len(built) == 1
    codes = [event.code for event in record.events()]
    assert codes == ["uncovered", "uncovered-to"]


def test_each_reason_is_logged_once_with_its_shape(built: list[tuple[Any, ...]]) -> None:
    class Tensor:
        shape = (4, 3584)
        dtype = "torch.float4_e2m1fn_x2"

    target = _guard()
    for reason in ("no a for tokens = 1, n = 2", "b", "no a for tokens = 64, n = 2", "b"):
        target("ck_moe_stage1", "kernel", reason, (Tensor(), 8), {})
    lines = [event.message for event in record.events() if event.code == "uncovered"]
    assert len(lines) == 2
    assert "hidden_states=float4_e2m1fn_x2[4, 3584], topk=8" in lines[0]
    assert built


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, ("h", 8)),
        ({"kernelName": "k"}, ("h", 8, "k")),
        ({"use_non_temporal_load": True}, ("h", 8, None, True)),
        ({"non_temporal_load": True, "kernelName": "k"}, ("h", 8, "k", True)),
    ],
)
def test_keywords_become_positions(
    kwargs: dict[str, Any], expected: tuple[Any, ...], built: list[tuple[Any, ...]]
) -> None:
    assert _guard()("ck_moe_stage1", "instance", "why", ("h", 8), kwargs) == expected
    assert built[0][2] == expected


@pytest.mark.usefixtures("built")
def test_an_unknown_keyword_is_an_error() -> None:
    with pytest.raises(TypeError, match="color"):
        _guard()("ck_moe_stage1", "instance", "why", ("h", 8), {"color": 1})


@pytest.mark.parametrize("policy", ["full", "error"])
def test_a_policy_without_a_build_is_a_clear_error(
    policy: str, built: list[tuple[Any, ...]]
) -> None:
    with pytest.raises(UncoveredShapeError, match=f"AITER_PREBUILT_UNCOVERED={policy}"):
        _guard(policy)("ck_moe_stage1", "instance", "topk is 8", ("h", 8), None)
    assert not built


@pytest.mark.parametrize(
    ("coverage", "advice"),
    [
        ("deployed", "a wheel with full coverage"),
        ("sound", "No wheel has this kernel; AITER_PREBUILT_UNCOVERED=auto lets AITER compile it"),
        ("full", "No wheel has this kernel; AITER_PREBUILT_UNCOVERED=auto lets AITER compile it"),
    ],
)
def test_the_error_advises_what_can_help(coverage: str, advice: str) -> None:
    with pytest.raises(UncoveredShapeError, match=advice):
        _guard("error", coverage)("ck_moe_stage1", "kernel", "no kernel", ("h", 8), None)


@pytest.mark.parametrize("aiter_known", [True, False])
@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_what_the_module_tells_of_a_right_kernel_is_logged_once_and_builds_nothing(
    mode: str, aiter_known: bool, built: list[tuple[Any, ...]]
) -> None:
    target = _guard(mode=mode, aiter_known=aiter_known)
    for _ in range(2):
        told = "ck_moe_stage2(): right runs instead of wrong (n = 7168, k = 512): it races"
        assert target("ck_moe_stage2", "instead", told, ("h", 8), None) is None
    assert [(event.code, event.message) for event in record.events()] == [("instead", told)]
    assert built == []


def test_a_failed_build_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> types.ModuleType:
        raise jit.JitError("no compiler")

    monkeypatch.setattr(jit, "build", build)
    with pytest.raises(UncoveredShapeError, match=r"topk is 8.*topk=8.*no compiler"):
        _guard()("ck_moe_stage1", "instance", "topk is 8", ("h", 8), None)


def test_threads_wait_for_one_build(
    monkeypatch: pytest.MonkeyPatch, built: list[tuple[Any, ...]]
) -> None:
    build = jit.build
    begun = threading.Event()

    def slow(*given: Any) -> types.ModuleType:
        begun.set()
        threading.Event().wait(0.05)
        return build(*given)

    monkeypatch.setattr(jit, "build", slow)
    target = _guard()
    threads = [
        threading.Thread(target=target, args=("ck_moe_stage1", "instance", "why", ("h", 8), None))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun.is_set()
    assert len(built) == 1


def test_without_aiter_there_is_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aiter.jit.core", raising=False)
    with pytest.raises(jit.JitError, match="not imported"):
        jit.build(samples.STOCK, "ck_moe_stage1", ())


def test_strict_compiles_nothing_unless_asked_to(built: list[tuple[Any, ...]]) -> None:
    with pytest.raises(UncoveredShapeError) as caught:
        _guard(mode="strict")("ck_moe_stage1", "instance", "why", ("h", 8), None)
    assert "AITER_PREBUILT=strict allows no build" in str(caught.value)
    assert "AITER_PREBUILT_UNCOVERED=jit" in str(caught.value)
    assert built == []
    assert _guard("jit", mode="strict")("ck_moe_stage1", "instance", "why", ("h", 8), None) == (
        "h",
        8,
    )
    assert len(built) == 1


@pytest.mark.parametrize("kind", ["tile", "name", "block_m", "arguments"])
def test_what_a_known_aiter_refuses_as_well_goes_back_to_the_module(
    kind: guard.Kind, built: list[tuple[Any, ...]]
) -> None:
    answer = _guard()("ck_moe_stage1", kind, "why", ("h", 8), None)
    assert answer is NotImplemented
    assert built == []
    assert record.events() == ()


@pytest.mark.parametrize("kind", ["tile", "name", "block_m", "arguments", "instance"])
def test_an_aiter_that_nobody_checked_takes_every_refused_call(
    kind: guard.Kind, built: list[tuple[Any, ...]]
) -> None:
    target = _guard(coverage="sound", aiter_known=False)
    assert target("ck_moe_stage1", kind, "k = 384", ("h", 8), None) == ("h", 8)
    assert target("ck_moe_stage1", kind, "k = 384", ("h", 8), None) == ("h", 8)
    assert len(built) == 1
    (line,) = [event.message for event in record.events() if event.code == "uncovered"]
    assert "k = 384" in line
    assert ("were not checked" in line) == (kind != "instance")


def test_other_modules_of_ours_are_not_asked_for_what_all_refuse(
    monkeypatch: pytest.MonkeyPatch, built: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setattr(guard, "first_that_loads", lambda *_, **__: pytest.fail("was asked"))
    assert _guard(aiter_known=False)("ck_moe_stage1", "tile", "k = 384", ("h",), None) == ("h",)
    assert built


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_where_such_a_call_may_not_be_compiled_the_error_says_why(
    mode: str, built: list[tuple[Any, ...]]
) -> None:
    target = _guard("auto" if mode == "strict" else "error", mode=mode, aiter_known=False)
    with pytest.raises(UncoveredShapeError) as caught:
        target("ck_moe_stage1", "tile", "k = 384 is not a multiple of 256", ("h", 8), None)
    text = str(caught.value)
    for part in ("k = 384 is not", "topk=8", "were not checked", "allows no build", "UNCOVERED="):
        assert part in text
    assert built == []
