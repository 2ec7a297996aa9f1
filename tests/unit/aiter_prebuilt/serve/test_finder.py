from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from aiter_prebuilt.errors import StrictMissError
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import finder, record, report
from aiter_prebuilt.wheel import store
from tests.unit.aiter_prebuilt import samples

NAME = f"aiter.jit.{samples.STOCK}"


def test_a_fault_of_the_settings_ends_in_aiters_own_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> NoReturn:
        raise KeyError("HIP_CLANG_PATH")

    monkeypatch.setattr(finder.settings, "read", read)
    assert finder.find(NAME) is None
    assert [event.code for event in record.events()] == ["internal"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AITER_PREBUILT", "AITER_REBUILD", "AITER_JIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(record, "_EVENTS", {})
    monkeypatch.setattr(
        report, "_saying_in", os.getpid()
    )  # registers nothing for the test's own exit
    read_all = store.read_all  # before it is replaced
    monkeypatch.setattr(store, "read_all", lambda: read_all(tmp_path / "aiter_prebuilt"))


def _codes() -> list[str]:
    return [event.code for event in record.events()]


def test_a_missing_manifest_is_the_reason() -> None:
    assert finder.find(NAME) is None
    assert _codes() == ["manifest-missing"]


def test_other_modules_of_aiter_are_no_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AITER_PREBUILT", "strict")
    assert finder.find("aiter.jit.module_aiter_core") is None
    assert _codes() == []


def test_a_module_of_the_family_that_no_wheel_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder.store, "read_all", lambda: ())
    assert finder.find(NAME) is None
    assert _codes() == ["not-shipped"]
    monkeypatch.setenv("AITER_PREBUILT", "strict")
    with pytest.raises(StrictMissError, match="not-shipped") as caught:
        finder.find(NAME)
    assert caught.value.name == samples.STOCK
    assert not isinstance(caught.value, ModuleNotFoundError)


def test_a_fault_of_our_own_ends_in_aiters_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(finder.store, "read_all", broken)
    assert finder.find(NAME) is None
    assert _codes() == ["internal"]
    monkeypatch.setenv("AITER_PREBUILT", "strict")
    assert finder.find("aiter.jit.module_aiter_core") is None  # not ours to be strict about
    with pytest.raises(StrictMissError, match="ZeroDivisionError"):
        finder.find(NAME)


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("AITER_PREBUILT", "0", "off"),
        ("AITER_REBUILD", "1", "rebuild"),
        ("AITER_REBUILD", "2", "rebuild"),
    ],
)
def test_standing_aside(
    variable: str, value: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert finder.find(NAME) is None
    assert _codes() == [code]


def test_a_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    finder.find(NAME)
    finder.find(NAME)
    assert len(caplog.records) == 1
    assert caplog.records[0].name == "aiter.prebuilt"


def test_a_module_that_failed_to_load_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = samples.entry(samples.module())
    monkeypatch.setattr(finder.host, "gather", lambda *_, **__: samples.host())
    monkeypatch.setitem(finder._gone, samples.STOCK, Reason(code="load", message="it failed"))
    offers, reasons = finder.judge([entry], finder.settings.read())
    assert offers == ()
    assert [reason.code for reason in reasons] == ["load"]


@pytest.mark.parametrize(
    ("suffix", "way_out"), [("", "AITER_PREBUILT=auto"), ("_splitk", "AITER=PATH")]
)
def test_a_strict_miss_names_the_way_out(
    suffix: str, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder.store, "read_all", lambda: ())
    monkeypatch.setenv("AITER_PREBUILT", "strict")
    with pytest.raises(StrictMissError, match=way_out) as caught:
        finder.find(f"aiter.jit.{samples.STOCK}{suffix}")
    assert "CK2stages modules alone" in str(caught.value), "what strict does not cover is said"


def test_a_strict_miss_ends_with_the_report_too(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bool] = []
    monkeypatch.setattr(finder.store, "read_all", lambda: ())
    monkeypatch.setattr(finder.report, "say_at_exit", lambda: said.append(True))
    monkeypatch.setenv("AITER_PREBUILT", "strict")
    with pytest.raises(StrictMissError):
        finder.find(NAME)
    assert said
