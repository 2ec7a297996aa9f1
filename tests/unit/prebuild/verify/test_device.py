"""Reading a device's report, and one kernel beside it with the executor replaced."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.selftest.judge import Finding, Judgement
from prebuild.gfx950.errors import ExecutorError
from prebuild.verify import device
from prebuild.verify.device import DeviceReportError, beside, read_report
from prebuild.verify.subject import Subject
from tests.unit.aiter_prebuilt.selftest.kinds import case

OUT = b"bits"


def report(**changes: Any) -> dict[str, Any]:
    one = case()
    kernel = {
        "module": one.module.name,
        "kernel": one.name,
        "verdict": "right",
        "launches": [{"output_sha256": hashlib.sha256(OUT).hexdigest()}, {"output_sha256": ""}],
    }
    return {
        "report": 1,
        "seed": 3,
        "device": {"name": "a GPU"},
        "package": {"modules": {one.module.name: "ab"}},
        "kernels": [kernel],
    } | changes


def read(tmp_path: Path, content: Any) -> device.DeviceReport:
    path = tmp_path / "report.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_report(path)


def executor(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    judged = Judgement(elements=2, max_error=0.5, findings=findings)
    monkeypatch.setattr(device, "execute", lambda *_: (OUT, judged))


def test_what_a_report_says(tmp_path: Path) -> None:
    found = read(tmp_path, report())
    assert (found.name, found.seed, found.modules) == ("a GPU", 3, {case().module.name: "ab"})
    key = (case().module.name, case().name)
    assert found.outputs == {key: (hashlib.sha256(OUT).hexdigest(),)}
    assert found.verdicts == {key: "right"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json", "Expecting value"),
        ([], "expected what aiter-prebuilt selftest --json prints"),
        ({"report": 1}, "no field 'kernels'"),
        (report(report=9), "schema 9, expected 1"),
        (report(seed="x"), "expected what aiter-prebuilt selftest --json prints"),
        (report(kernels=[[]]), "expected what aiter-prebuilt selftest --json prints"),
        (report(seed=float("inf")), "expected what aiter-prebuilt selftest --json prints"),
        (report(package={"modules": []}), "expected what aiter-prebuilt selftest --json prints"),
        ("[" * 200_000, "expected what aiter-prebuilt selftest --json prints"),
    ],
)
def test_what_is_no_report(content: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceReportError, match=r"report\.json") as found:
        read(tmp_path, content)
    assert said in str(found.value)


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceReportError, match="No such file"):
        read_report(tmp_path / "report.json")


def test_the_same_bits(tmp_path: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    executor(monkeypatch)
    found = beside(case(), subject, tmp_path, read(tmp_path, report()))
    assert (found.state, found.device, found.failure) == ("same", "right", "")
    assert (found.elements, found.max_error) == (2, 0.5)
    assert found.operands == "fp4x2 fp4x2 b16 per_1x32"


def test_a_launch_with_other_bits(
    tmp_path: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor(monkeypatch)
    raw = report()
    raw["kernels"][0]["launches"].append({"output_sha256": "0" * 64})
    assert beside(case(), subject, tmp_path, read(tmp_path, raw)).state == "other bits"


def test_an_older_report_has_no_digests(
    tmp_path: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "execute", lambda *_: pytest.fail("the kernel was run"))
    raw = report()
    raw["kernels"][0]["launches"] = [{}]
    assert beside(case(), subject, tmp_path, read(tmp_path, raw)).state == "not reported"


def test_what_the_executor_says_against_a_kernel(
    tmp_path: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor(monkeypatch, Finding(code="value", message="1 of 2 elements"))
    found = beside(case(), subject, tmp_path, read(tmp_path, report()))
    assert (found.state, found.failure) == ("same", "1 of 2 elements")

    def stops(*_: object) -> None:
        raise ExecutorError("no semantics")

    monkeypatch.setattr(device, "execute", stops)
    found = beside(case(), subject, tmp_path, read(tmp_path, report()))
    assert (found.state, found.failure, found.elements) == ("failed", "no semantics", 0)
