"""``aiter-prebuilt selftest`` on the real module; kernels do what a script says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.selftest import device
from aiter_prebuilt.selftest.judge import GUARD
from aiter_prebuilt.selftest.problems import Case
from prebuild.recording import Recorder
from prebuild.recording.recorder import SONAME
from prebuild.release.symbols import offered
from prebuild.toolchain import Toolchain
from tests.integration.conftest import PROJECT, KimiWheel
from tests.integration.effects import ARGUMENT_BYTES, Write, cases_in, right, write_script
from tests.integration.runtime.sitemaker import make_sysfs

pytestmark = pytest.mark.toolchain
RIGHT, UNPROVEN, WRONG, NO_DEVICE = 0, 1, 5, 6
EMPTY = Path("/usr/share")
"""A folder without a HIP runtime."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    code: int
    stderr: str
    report: dict[str, Any]

    def verdicts(self) -> dict[str, str]:
        return {kernel["kernel"]: kernel["verdict"] for kernel in self.report["kernels"]}

    def codes(self, case: Case) -> set[str]:
        """What was found of one kernel, over all of its launches."""
        (kernel,) = [one for one in self.report["kernels"] if one["kernel"] == case.name]
        return {finding["code"] for launch in kernel["launches"] for finding in launch["findings"]}


Selftest = Callable[..., Ran]


@pytest.fixture(scope="module")
def cases(kimi: KimiWheel) -> list[Case]:
    return cases_in(kimi.manifest)


@pytest.fixture(scope="module")
def writes(cases: list[Case]) -> dict[str, list[Write]]:
    return {case.name: right(case) for case in cases}


@pytest.fixture
def selftest(
    installed: Path,
    recorder: Recorder,
    cases: list[Case],
    writes: dict[str, list[Write]],
    tmp_path: Path,
) -> Selftest:
    """Run it with every kernel right but those of ``changed``."""

    def run(
        *options: str,
        changed: dict[str, Sequence[Write]] | None = None,
        python: Path = installed / "bin" / "python",
        **env: str,
    ) -> Ran:
        script, sysfs = tmp_path / "effects", tmp_path / "sys"
        if not sysfs.exists():
            make_sysfs(sysfs, 90500)
        write_script(script, [(case, {**writes, **(changed or {})}[case.name]) for case in cases])
        done = subprocess.run(
            [python, "-m", "aiter_prebuilt", "selftest", "--json", "--jobs=2", *options],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "LD_LIBRARY_PATH": str(recorder.runtime),
                "HIP_RECORD_EFFECTS": str(script),
                "HIP_RECORD_ARGUMENT_BYTES": str(ARGUMENT_BYTES),
                "AITER_PREBUILT_SYSFS_ROOT": str(sysfs),
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        return Ran(code=done.returncode, stderr=done.stderr, report=json.loads(done.stdout))

    return run


def test_every_kernel_right(selftest: Selftest, cases: list[Case]) -> None:
    ran = selftest()
    assert ran.code == RIGHT, ran.report
    assert ran.verdicts() == {case.name: "right" for case in cases}
    for kernel in ran.report["kernels"]:
        ways = [launch["way"] for launch in kernel["launches"]]
        assert ways == ["null stream", "own stream", "graph", "graph replay"]
        assert 0 < kernel["max_error"] <= 1
    assert ran.report["report"] == 1
    assert ran.report["proven"] is True
    assert ran.report["device"]["arch"].startswith("gfx950")
    assert ran.report["passes"][1] == {
        "name": "torch", "state": "skipped", "detail": "torch is not installed",
    }  # fmt: skip
    assert f"[{len(cases)}/{len(cases)}]" in ran.stderr


def test_one_kernel_quickly(selftest: Selftest, cases: list[Case]) -> None:
    ran = selftest("--quick", f"--kernel={cases[0].name}")
    assert ran.code == RIGHT
    (kernel,) = ran.report["kernels"]
    assert [launch["way"] for launch in kernel["launches"]] == ["null stream"]
    assert [one["name"] for one in ran.report["passes"]] == ["plain"]


def one(cases: list[Case], stage: int) -> Case:
    return next(case for case in cases if case.instance.stage == stage)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda good: [Write(pointer="p_c", at=0, data=good[:-2] + b"\x80\x43")], "value"),
        (lambda good: [Write(pointer="p_c", at=0, data=good[:-2] + b"\xc0\x7f")], "nan"),
        (lambda good: [Write(pointer="p_c", at=0, data=good[:-2])], "left"),
        (lambda _good: [], "left"),
        (lambda good: [Write(pointer="p_c", at=0, data=good + b"\x5a\x60")], "guard"),
        (
            lambda good: [
                Write(pointer="p_c", at=0, data=good),
                Write(pointer="p_b", at=16, data=bytes(range(16))),
            ],
            "input",
        ),
        (
            lambda good: [
                Write(pointer="p_c", at=0, data=good),
                Write(pointer="p_sorted_token_ids", at=0, data=b"\xff"),
            ],
            "input",
        ),
    ],
    ids=["value", "nan", "last element left", "all left", "guard", "weights", "ids"],
)
def test_each_fault_is_found_and_named(
    selftest: Selftest,
    cases: list[Case],
    writes: dict[str, list[Write]],
    change: Callable[[bytes], list[Write]],
    code: str,
    stage: int,
) -> None:
    assert GUARD[:2] == b"\x5a\x61"
    bad = one(cases, stage)
    ran = selftest("--quick", changed={bad.name: change(writes[bad.name][0].data)})
    assert ran.code == WRONG
    assert ran.codes(bad) == {code}
    wrong = [name for name, verdict in ran.verdicts().items() if verdict != "right"]
    assert wrong == [bad.name]


def test_a_capture_that_runs_at_once_is_found(selftest: Selftest, cases: list[Case]) -> None:
    ran = selftest(f"--kernel={cases[0].name}", HIP_RECORD_NO_CAPTURE="1")
    assert ran.code == WRONG
    # What was not captured is not in the graph either.
    assert ran.codes(cases[0]) == {"early", "left"}


def test_an_error_of_a_launch_is_no_verdict_on_the_numbers(
    selftest: Selftest, cases: list[Case]
) -> None:
    ran = selftest(f"--kernel={cases[0].name}", "--quick", HIP_RECORD_FAIL="1")
    assert ran.code == UNPROVEN
    assert ran.codes(cases[0]) == {"call"}
    assert "hipError 1" in json.dumps(ran.report["kernels"])


def test_an_error_after_a_launch_too(selftest: Selftest, cases: list[Case]) -> None:
    ran = selftest("--quick", HIP_RECORD_SYNC_FAIL="700")
    assert ran.code == UNPROVEN
    assert set(ran.verdicts().values()) == {"failed"}
    assert len(ran.verdicts()) == len(cases)
    assert ran.codes(cases[0]) == {"hip"}


def test_a_process_that_dies_is_the_kernels_fault(selftest: Selftest, cases: list[Case]) -> None:
    """A write to an address that is none: the next kernel runs in a new process."""
    bad = cases[0]
    crash = [Write(pointer="p_c", at=1 << 30, data=b"\x00")]
    ran = selftest("--quick", changed={bad.name: crash})
    assert ran.code == WRONG
    assert ran.codes(bad) == {"crash"}
    assert list(ran.verdicts().values()).count("right") == len(cases) - 1


def test_a_module_that_changed_is_not_loaded(
    selftest: Selftest, installed: Path, kimi: KimiWheel
) -> None:
    (module,) = installed.glob(f"lib/python3.*/site-packages/aiter_prebuilt/modules/{kimi.name}*")
    whole = module.read_bytes()
    try:
        module.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        ran = selftest("--quick")
    finally:
        module.write_bytes(whole)
    assert ran.code == UNPROVEN
    assert set(ran.verdicts().values()) == {"failed"}
    assert "sha256" in json.dumps(ran.report["kernels"])


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"LD_LIBRARY_PATH": str(EMPTY)}, "no HIP runtime libamdhip64.so.7"),
        ({"HIP_RECORD_DEVICES": "0"}, "HIP finds no GPU"),
        ({"HIP_RECORD_ARCH": "gfx942:sramecc+:xnack-"}, "gfx942"),
    ],
)
def test_without_a_gfx950_one_line_says_so(
    selftest: Selftest, env: dict[str, str], words: str
) -> None:
    ran = selftest(**env)
    assert ran.code == NO_DEVICE
    assert ran.report["error"]["kind"] == "MissingError"
    assert words in ran.report["error"]["message"]
    (line,) = ran.stderr.splitlines()
    assert line.startswith("aiter-prebuilt: nothing was run: ")


def test_the_real_runtime_has_every_function_that_is_called(toolchain: Toolchain) -> None:
    text = Path(device.__file__).read_text()
    called = set(re.findall(r'"(hip[A-Z]\w+)"', text))
    assert {"hipMalloc", "hipStreamBeginCapture", "hipGetDevicePropertiesR0600"} <= called
    assert toolchain.hip_runtime is not None
    has = {symbol.partition("@")[0] for symbol in offered(toolchain.hip_runtime)}
    assert called - has == set()


def test_times_of_an_emulator_are_of_small_problems_and_mean_nothing(
    selftest: Selftest, recorder: Recorder, tmp_path: Path
) -> None:
    """The recording runtime counts a millisecond for each event."""
    emulator = tmp_path / "librocjitsu_stand_in.so"
    shutil.copyfile(recorder.runtime / SONAME, emulator)
    ran = selftest("--quick", "--time", "--kernel=gemm1_", LD_PRELOAD=str(emulator))
    assert ran.code == RIGHT
    assert ran.report["device"]["emulator"] == str(emulator)
    assert [one["kernel"] for one in ran.report["timings"]] == list(ran.verdicts())
    for one in ran.report["timings"]:
        assert (one["microseconds"], one["repeats"], one["ratio"]) == (1000, 3, None)
        assert one["note"] == "emulated: times mean nothing"


def test_times_are_of_the_deployments_shapes_that_fit(selftest: Selftest) -> None:
    ran = selftest("--quick", "--time", "--kernel=gemm1_64x32", HIP_RECORD_MEMORY_MB="64")
    assert ran.code == RIGHT
    recipes = {f"kimi-k2.5-mxfp4 tp={tp}" for tp in (1, 2, 4, 8)}
    assert {one["recipe"] for one in ran.report["timings"]} == recipes
    for one in ran.report["timings"]:
        assert "k=7168 experts=384 topk=8" in one["shape"]
        assert (one["microseconds"], one["repeats"]) == (None, 0)
        assert one["note"].startswith("not measured: ")


@pytest.fixture(scope="module")
def with_torch(kimi: KimiWheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, the stand-ins of AITER and of torch; returns its folder."""
    folder = tmp_path_factory.mktemp("torch") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = (folder / "lib").glob("python3.*/site-packages")
    shutil.copytree(kimi.unpacked, site, dirs_exist_ok=True)
    for part in ("aiter", "csrc", "torch"):
        shutil.copytree(PROJECT.root / "tests" / "standin" / part, site / part)
    return folder


def test_torchs_tensors_and_aiters_own_calls(
    selftest: Selftest, with_torch: Path, cases: list[Case]
) -> None:
    ran = selftest(python=with_torch / "bin" / "python")
    assert ran.code == RIGHT, ran.report
    states = {one["name"]: one["state"] for one in ran.report["passes"]}
    assert states == {"plain": "run", "torch": "run", "aiter": "run"}
    assert len(ran.report["kernels"]) == len(cases)
    for kernel in ran.report["kernels"]:
        ways = [launch["way"] for launch in kernel["launches"]]
        assert ways[-2:] == ["torch, null stream", "aiter, null stream"]
        assert len(ways) == 6


def test_a_wrong_result_through_aiter_is_wrong(
    selftest: Selftest, with_torch: Path, cases: list[Case]
) -> None:
    bad = cases[0]
    python = with_torch / "bin" / "python"
    ran = selftest(f"--kernel={bad.name}", "--passes=aiter", python=python, changed={bad.name: []})
    assert ran.code == WRONG
    assert ran.codes(bad) == {"left"}


def test_what_aiter_is_not_served_it_must_not_compile(
    selftest: Selftest, with_torch: Path, cases: list[Case]
) -> None:
    """An AITER whose calls another one would take: an error, and no build."""
    stub = next(with_torch.glob("lib/python3.*/site-packages/aiter/ops/moe_op.py"))
    text = stub.read_text()
    try:
        stub.write_text(text.replace("topk: int,", "topk: float,"))
        python = with_torch / "bin" / "python"
        ran = selftest(f"--kernel={cases[0].name}", "--passes=aiter", python=python)
    finally:
        stub.write_text(text)
    assert ran.code == UNPROVEN
    assert ran.codes(cases[0]) == {"call"}
    assert "StrictMissError" in json.dumps(ran.report["kernels"])
    assert not list(with_torch.glob("lib/python3.*/site-packages/aiter/jit/build/builds.log"))


def test_a_torch_without_a_gpu_is_skipped_with_its_reason(
    selftest: Selftest, with_torch: Path, cases: list[Case]
) -> None:
    options = {"python": with_torch / "bin" / "python", "STANDIN_NO_GPU": "1"}
    ran = selftest(f"--kernel={cases[0].name}", **options)
    assert ran.code == RIGHT
    skipped = ran.report["passes"][1:]
    assert {one["state"] for one in skipped} == {"skipped"}
    assert {one["detail"] for one in skipped} == {"torch 0.0.standin has no GPU here"}
    assert selftest("--passes=torch", **options).code == NO_DEVICE
