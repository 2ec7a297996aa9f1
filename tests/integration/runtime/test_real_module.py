"""The fault matrix on the wheel that the project builds: real gfx950 kernels of CK.

The HIP runtime is the recording one, since there is no GPU; the module and its kernels are real.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.wheel.elf import _EHDR, _SHDR
from prebuild.recording import Recorder
from tests.integration.calls import stage1
from tests.integration.conftest import KimiWheel
from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.conftest import make_calls
from tests.integration.runtime.faults import FAULTS, Fault, Stage

pytestmark = pytest.mark.toolchain
Run = Callable[..., dict[str, Any]]
CASES = [fault for fault in FAULTS if not fault.compiles]


@pytest.fixture
def real(stage: Stage, kimi: KimiWheel, recorder: Recorder) -> Stage:
    """The site with the real wheel's files in place of the fixture's."""
    shutil.rmtree(stage.package)
    shutil.copytree(kimi.unpacked, stage.site, dirs_exist_ok=True)
    stage.parts = dataclasses.replace(stage.parts, hip=recorder.runtime / "libamdhip64.so.7")
    stage.env["LD_LIBRARY_PATH"] = str(recorder.runtime)
    stage.file = None
    assert stage.entry.stock_name == make.STOCK
    return stage


def _is_prebuilt(result: dict[str, Any]) -> bool:
    """The real binding refuses the driver's stand-ins of tensors, and says so.

    Under an AITER that nobody checked the refused call goes on to AITER's own build.
    """
    if "aiter-unknown" in result["events"]:
        return {"served", "uncovered-to"} <= set(result["events"])
    return "served" in result["events"] and result["error"] in ("TypeError", "ValueError")


@pytest.mark.parametrize("fault", CASES, ids=lambda fault: fault.name)
def test_the_right_path(fault: Fault, real: Stage, run: Run) -> None:
    assert real.module.exists()
    if not fault.name.startswith("unknown-aiter"):
        real.know_aiter()
    fault.breaks(real)
    result = run()
    if fault.takes == "prebuilt":
        assert _is_prebuilt(result), result
    else:
        assert str(result["answer"]).startswith("jit:"), result
    assert fault.code in ("", *result["events"]), result


def test_truncated_at_many_lengths(real: Stage, run: Run) -> None:
    whole = real.module.read_bytes()
    last_page = len(whole) - len(whole) % 4096
    steps = range(0, len(whole), max(4096, len(whole) // 24 // 4096 * 4096))
    for length in sorted({1, 64, last_page, last_page + 1, len(whole) - 1, *steps}):
        real.module.write_bytes(whole[:length])
        assert "size" in run(STANDIN_BUILDS="")["events"], length


def test_truncated_and_described_as_such(real: Stage, run: Run) -> None:
    whole = real.module.read_bytes()
    for length in (64, len(whole) // 3, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        real.module.write_bytes(whole[:length])
        real.describe()
        assert set(run(STANDIN_BUILDS="")["events"]) & {"elf", "bundle-damaged"}, length


def test_one_flipped_bit_in_each_section(real: Stage, run: Run) -> None:
    whole = real.module.read_bytes()
    header = _EHDR.unpack_from(whole)
    at, count = header[6], header[12]
    sections = [_SHDR.unpack_from(whole, at + index * _SHDR.size) for index in range(count)]
    places = [section[4] + section[5] // 2 for section in sections if section[1] not in (0, 8)]
    for place in places:
        damaged = bytearray(whole)
        damaged[min(place, len(whole) - 1)] ^= 0x10
        real.module.write_bytes(damaged)
        assert "sha256" in run(STANDIN_BUILDS="")["events"], place


def test_the_targets_are_read_from_the_bundles(real: Stage, run: Run) -> None:
    """A manifest that claims another target than the kernels have is not believed."""
    real.describe(gfx_targets=("gfx942",))
    real.sysfs(90402)
    assert "bundle-gfx" in run()["events"]


def test_the_installed_wheel_is_sound(kimi: KimiWheel, tmp_path: Path) -> None:
    from aiter_prebuilt.tools import wheelcheck

    site = Path(shutil.copytree(kimi.unpacked, tmp_path / "site"))
    report = wheelcheck.verify(site / "aiter_prebuilt")
    assert report.sound, [check for check in report.files if check.problem]
    assert len(report.files) > 20


def _calls(real: Stage, *dims: int, **env: str) -> dict[str, Any]:
    """Stage 1 calls with these hidden sizes, through the stand-in AITER, in one process."""
    calls = [stage1(model_dim=dim) for dim in dims]
    record = str(real.site.parent / "record")
    return make_calls(real.site, calls, {**real.env, "HIP_RECORD_FILE": record, **env})


COVERED, UNCOVERED = 7168, 7168 + 256
"""Hidden sizes: the second has an odd number of K steps, whose kernel no deployment needs."""


def test_an_uncovered_call_of_the_real_module_goes_to_aiters_build(real: Stage) -> None:
    found = _calls(real, COVERED, UNCOVERED, UNCOVERED, COVERED)
    first, second, third, last = found["results"]
    assert first == last
    assert (first["returned"], len(first["launches"])) == (None, 1)
    assert second["returned"].startswith(f"jit:{make.STOCK}:")
    assert second == third
    assert second["launches"] == []
    assert found["events"].count("uncovered") == 1
    log = (real.site / "aiter" / "jit" / "build" / "builds.log").read_text()
    assert log.count("\n") == 1


def test_an_uncovered_call_that_nobody_takes_names_shape_and_module(real: Stage) -> None:
    found = _calls(real, UNCOVERED, AITER_PREBUILT_UNCOVERED="error")
    (result,) = found["results"]
    assert result["raised"] == "UncoveredShapeError"
    assert f"k = {UNCOVERED}" in result["message"]
    assert real.entry.name in result["message"]


def test_what_a_tile_does_not_divide_is_an_error_or_an_unchecked_aiters_own(real: Stage) -> None:
    data = real.package / "data" / "aiter.json"
    unchecked = data.read_text()
    real.know_aiter()
    (known,) = _calls(real, COVERED + 64)["results"]
    assert known["raised"] == "RuntimeError"
    assert f"k = {COVERED + 64}: they are not multiples of its tile" in known["message"]
    assert not (real.site / "aiter" / "jit" / "build").exists()
    data.write_text(unchecked)
    (result,) = _calls(real, COVERED + 64)["results"]
    assert result["returned"].startswith(f"jit:{make.STOCK}:")
