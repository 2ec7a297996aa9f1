"""Which kernels are run beside a report; no kernel is run here."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from aiter_prebuilt.wheel.manifest import Module
from prebuild.core.settings import Settings
from prebuild.pipeline import device
from prebuild.verify.device import DeviceReport
from prebuild.verify.errors import NoKernelError
from prebuild.verify.subject import Found, Subject
from tests.unit.aiter_prebuilt.selftest.kinds import case

CASE = case()


@pytest.fixture
def file(tmp_path: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a wheel's only module."""
    path = tmp_path / "module.so"
    path.write_bytes(b"module")
    own = replace(subject, symbol=CASE.kernel.symbol)

    def listed(_place: Path) -> list[tuple[Path, Module]]:
        return [(path, CASE.module)]

    monkeypatch.setattr(device, "listed_modules", listed)
    monkeypatch.setattr(device, "subjects_in", lambda _: Found(subjects=(own,), unknown=()))
    return path


def report(*kernels: str, **modules: str) -> DeviceReport:
    verdicts = {(CASE.module.name, kernel): "right" for kernel in kernels}
    return DeviceReport(name="", seed=1, modules=modules, outputs={}, verdicts=verdicts)


def test_the_kernels_that_a_report_names_with_their_machine_code(file: Path) -> None:
    same = {CASE.module.name: hashlib.sha256(b"module").hexdigest()}
    ((found, subject),) = device._work(file.parent, report(CASE.name, **same))
    assert (found.name, subject.symbol) == (CASE.name, CASE.kernel.symbol)


def test_a_report_of_another_wheel(file: Path) -> None:
    with pytest.raises(device.OtherWheelError) as found:
        device._work(file.parent, report(another="11" * 32, **{CASE.module.name: "00" * 32}))
    own = hashlib.sha256(b"module").hexdigest()[:16]
    assert found.value.problems == (
        f"another: sha256 {'11' * 8} in the report, not there here",
        f"{CASE.module.name}: sha256 {'00' * 8} in the report, {own} here",
    )


def test_a_kernel_that_the_wheel_has_not(
    file: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {CASE.module.name: hashlib.sha256(b"module").hexdigest()}
    with pytest.raises(device.OtherWheelError) as found:
        device._work(file.parent, report(CASE.name, "another", **same))
    assert found.value.problems == (f"{CASE.module.name}: another",)
    monkeypatch.setattr(device, "subjects_in", lambda _: Found(subjects=(subject,), unknown=()))
    with pytest.raises(device.OtherWheelError) as found:
        device._work(file.parent, report(CASE.name, **same))
    assert found.value.problems == (f"{CASE.module.name}: {CASE.name}",)


@pytest.mark.parametrize(
    ("kernels", "only", "said"),
    [([], "", "names no kernel: "), (["one"], "two", "names no kernel with 'two' in its name")],
)
def test_nothing_to_compare(
    kernels: list[str], only: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "read_report", lambda _: report(*kernels))
    with pytest.raises(NoKernelError, match=said) as found:
        device.compare(
            tmp_path, Path("report.json"), settings=Settings(cache_dir=tmp_path), only=only
        )
    assert found.value.exit_code == 2
