"""The problems of ``selftest`` on the executor, without a GPU, and beside what a device reports."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.selftest.cases import cases_of
from prebuild.toolchain import Toolchain
from prebuild.verify.device import execute
from prebuild.verify.subject import subjects_in
from tests.integration.conftest import KimiWheel
from tests.integration.effects import cases_in

pytestmark = pytest.mark.toolchain


@pytest.mark.parametrize("seed", [1, 2])
def test_every_kernel_of_the_wheel_gives_what_selftest_expects(
    kimi: KimiWheel, toolchain: Toolchain, seed: int
) -> None:
    subjects = {one.symbol: one for one in subjects_in(kimi.module).subjects}
    cases = cases_in(kimi.manifest)
    assert len(cases) == len(subjects)
    for case in cases:
        tool = toolchain.tool("llvm-objdump")
        _, found = execute(case, subjects[case.kernel.symbol], tool, seed)
        assert found.findings == (), case.name
        assert 0.1 < found.max_error <= 1, case.name
        tokens = case.instance.block_m - 3
        slots = 2 if case.instance.stage == 1 else 1
        assert found.elements == tokens * slots * 2 * case.instance.n_per_block


ONLY = "gemm2_256x32x128x128"


@pytest.fixture(scope="module")
def reported(kimi: KimiWheel, toolchain: Toolchain) -> dict[str, Any]:
    """What a device with our executor's bits would report of three kernels."""
    tool, (module,) = toolchain.tool("llvm-objdump"), kimi.manifest.modules
    subjects = {one.symbol: one for one in subjects_in(kimi.module).subjects}
    kernels = []
    for case in cases_of(module):
        if ONLY in case.name:
            out, _ = execute(case, subjects[case.kernel.symbol], tool, 7)
            launch = {"output_sha256": hashlib.sha256(out).hexdigest()}
            found = {"module": module.name, "kernel": case.name, "verdict": "right"}
            kernels.append({**found, "launches": [launch, launch]})
    digest = hashlib.sha256(kimi.module.read_bytes()).hexdigest()
    return {
        "report": 1,
        "seed": 7,
        "device": {"name": "executor"},
        "package": {"modules": {module.name: digest}},
        "kernels": kernels,
    }


def compared(kimi: KimiWheel, report: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "report.json"
    path.write_text(json.dumps(report))
    command = [sys.executable, "-m", "prebuild", "compare-device", kimi.path, path]
    return subprocess.run(
        [*command, "--only", ONLY, "--json"], check=False, capture_output=True, text=True
    )


def test_equal_bits_on_a_device_are_seen(
    kimi: KimiWheel, reported: dict[str, Any], tmp_path: Path
) -> None:
    done = compared(kimi, reported, tmp_path)
    assert done.returncode == 0, done.stderr
    kernels = json.loads(done.stdout)["kernels"]
    assert [one["state"] for one in kernels] == ["same"] * 3
    assert all(one["elements"] and 0.1 < one["max_error"] <= 1 for one in kernels)


def test_other_bits_and_a_kernel_that_did_not_run_are_named(
    kimi: KimiWheel, reported: dict[str, Any], tmp_path: Path
) -> None:
    first, second, third = reported["kernels"]
    unsteady = {**first, "launches": [first["launches"][0], {"output_sha256": "0" * 64}]}
    report = {**reported, "kernels": [unsteady, second, {**third, "launches": []}]}
    done = compared(kimi, report, tmp_path)
    assert done.returncode == 1, done.stderr
    states = {one["kernel"]: one["state"] for one in json.loads(done.stdout)["kernels"]}
    assert states == {
        first["kernel"]: "other bits",
        second["kernel"]: "same",
        third["kernel"]: "not reported",
    }


def test_a_report_of_another_wheel_is_refused(
    kimi: KimiWheel, reported: dict[str, Any], tmp_path: Path
) -> None:
    (name,) = reported["package"]["modules"]
    done = compared(kimi, {**reported, "package": {"modules": {name: "0" * 64}}}, tmp_path)
    assert done.returncode == 2
    assert "the report is of other modules" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
