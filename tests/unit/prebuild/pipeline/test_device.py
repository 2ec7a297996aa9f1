"""Which kernels are run beside a report; no kernel is run here."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from aiter_prebuilt.wheel.manifest import Module
from prebuild.pipeline import device
from prebuild.verify.device import DeviceReport
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


def report(**modules: str) -> DeviceReport:
    return DeviceReport(name="", seed=1, modules=modules, outputs={}, verdicts={})


def test_every_kernel_of_a_module_with_its_machine_code(file: Path) -> None:
    same = report(**{CASE.module.name: hashlib.sha256(b"module").hexdigest()})
    ((found, subject),) = device._work(file.parent, same)
    assert (found.name, subject.symbol) == (CASE.name, CASE.kernel.symbol)


@pytest.mark.parametrize(
    ("modules", "said"),
    [({}, "the report does not name it"), ({CASE.module.name: "00" * 32}, "in the report")],
)
def test_a_report_of_another_wheel(file: Path, modules: dict[str, str], said: str) -> None:
    with pytest.raises(device.OtherWheelError) as found:
        list(device._work(file.parent, report(**modules)))
    assert CASE.module.name in str(found.value)
    assert said in str(found.value)
