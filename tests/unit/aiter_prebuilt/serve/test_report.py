from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import aiter_prebuilt
from aiter_prebuilt.serve import record, report

NAME = "aiter.jit.module_test"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_EVENTS", {})
    monkeypatch.setattr(report, "_SERVED", [])
    monkeypatch.setattr(report, "_HANDED_ON", [])
    monkeypatch.setattr(report, "_ASKED", {})
    monkeypatch.setattr(report, "_BUILT", [])
    monkeypatch.setattr(
        report, "_saying_in", os.getpid()
    )  # registers nothing for the test's own exit


def built(folder: Path, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    """AITER asked for a module now, and its file was finished so many seconds later."""
    path = folder / "module_test.so"
    path.write_bytes(b"")
    finished = report._ASKED[NAME] + seconds
    os.utime(path, (finished, finished))
    module = types.ModuleType(NAME)
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, NAME, module)


def test_a_build_is_measured_from_the_question_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.left_to_aiter(NAME)
    built(tmp_path, monkeypatch, seconds=62.5)
    (found,) = aiter_prebuilt.report().compiled
    assert found.module == "module_test"
    assert found.seconds == pytest.approx(62.5, abs=0.01)


def test_a_file_that_was_there_before_was_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.left_to_aiter(NAME)
    built(tmp_path, monkeypatch, seconds=-5)
    assert report.gather().compiled == ()


def test_a_module_that_nobody_built_is_not_compiled() -> None:
    report.left_to_aiter(NAME)
    assert report.gather().compiled == ()


def test_the_first_question_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report.left_to_aiter(NAME)
    first = report._ASKED[NAME]
    report.left_to_aiter(NAME)  # AITER imports again after its build
    assert report._ASKED[NAME] == first
    built(tmp_path, monkeypatch, seconds=1)
    assert len(report.gather().compiled) == 1


def test_one_line_says_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report.served(report.Served(module="a", wheel="1.0", coverage="full", milliseconds=20))
    report.served(report.Served(module="b", wheel="1.0", coverage="full", milliseconds=10.4))
    report.handed_on(report.HandedOn(module="a", to="AITER's own build", seconds=3))
    record.add("c", "gpu-other", "not served, it is another GPU")
    record.add("c", "glibc", "not served, it is old")
    report.left_to_aiter(NAME)
    built(tmp_path, monkeypatch, seconds=62)
    assert report.gather().line() == (
        "2 modules served in 30 ms, 1 handed on, 1 declined; AITER compiled module_test 62.0 s"
    )


def test_a_build_for_calls_that_were_handed_on_is_a_build(tmp_path: Path) -> None:
    path = tmp_path / "module_test.so"
    path.write_bytes(b"")
    os.utime(path, (1000, 1000))
    report.built("module_before", str(path), asked=1001)
    report.built("module_test", str(path), asked=940)
    report.built("module_gone", str(tmp_path / "gone.so"), asked=940)
    report.built("module_without", None, asked=0)
    assert report.gather().compiled == (report.Compiled(module="module_test", seconds=60),)
    assert report.gather().line().endswith("AITER compiled module_test 60.0 s")


def test_one_module_is_no_modules() -> None:
    report.served(report.Served(module="a", wheel="1.0", coverage="full", milliseconds=20))
    assert report.gather().line().startswith("1 module served in 20 ms, ")


def test_the_line_is_said_once_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(report, "_saying_in", 0)
    monkeypatch.setattr(report, "_said_in", 0)
    monkeypatch.setattr(report.atexit, "register", at_exit.append)
    report.say_at_exit()
    report.say_at_exit()
    (say,) = at_exit
    with caplog.at_level("INFO"):
        say()
        say()  # of a forked process that was told twice
    assert caplog.messages == [f"prebuilt: {report.gather().line()}"]


def test_what_was_served_is_no_decline() -> None:
    record.add("a", "served", "served from wheel 1.0")
    record.add("a", "uncovered", "outside of the coverage")
    assert report.gather().declined == ()
