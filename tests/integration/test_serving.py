"""The installed wheel serves the real Kimi module to an AITER that follows the contract."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prebuild.recording import Recorder
from tests.integration.conftest import PROJECT, KimiWheel
from tests.integration.runtime.sitemaker import make_sysfs

pytestmark = pytest.mark.toolchain
STOCK = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"
PROGRAM = f"""
import importlib, json, sys, time
began = time.perf_counter()
name = sys.argv[1] + "{STOCK}"
try:
    module = importlib.import_module(name)
    found = {{"name": module.__name__, "doc": module.ck_moe_stage1.__doc__.splitlines()[0]}}
except ModuleNotFoundError as error:
    found = {{"missing": str(error)}}
found["seconds"] = time.perf_counter() - began
found["torch"] = "torch" in sys.modules
import aiter_prebuilt
found["reasons"] = [event.code for event in aiter_prebuilt.reasons()]
print(json.dumps(found))
"""
Import = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def site(installed: Path) -> Path:
    """The site-packages of a fresh environment with the wheel and the stand-in AITER."""
    (folder,) = (installed / "lib").glob("python3.*/site-packages")
    shutil.copytree(PROJECT.root / "tests" / "standin" / "aiter", folder / "aiter")
    shutil.copytree(PROJECT.root / "tests" / "standin" / "csrc", folder / "csrc")
    return folder


@pytest.fixture
def load(installed: Path, site: Path, recorder: Recorder, tmp_path: Path) -> Import:
    assert (site / "aiter").is_dir()
    environment = {
        "PATH": os.environ["PATH"],
        "LD_LIBRARY_PATH": str(recorder.runtime),
        "AITER_PREBUILT_SYSFS_ROOT": str(make_sysfs(tmp_path / "sys", 90500)),
    }

    def run(prefix: str = "aiter.jit.", **changes: str) -> dict[str, Any]:
        done = subprocess.run(
            [installed / "bin" / "python", "-c", PROGRAM, prefix],
            env={**environment, **changes},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


def test_aiters_import_finds_the_module(load: Import, kimi: KimiWheel) -> None:
    found = load()
    assert found["name"] == kimi.name
    assert found["doc"].startswith("ck_moe_stage1(hidden_states: torch.Tensor, ")
    assert not found["torch"]


def test_with_a_jit_dir_the_top_level_name_is_found(load: Import, tmp_path: Path) -> None:
    assert "name" in load("", AITER_JIT_DIR=str(tmp_path / "jit"))


@pytest.mark.parametrize(
    "changes",
    [{"AITER_PREBUILT": "0"}, {"AITER_REBUILD": "1"}, {"LD_LIBRARY_PATH": "/nonexistent"}],
)
def test_in_doubt_aiters_own_jit_is_left_to_run(load: Import, changes: dict[str, str]) -> None:
    assert STOCK in load(**changes)["missing"]


def test_another_gpu_is_declined(load: Import, tmp_path: Path) -> None:
    found = load(AITER_PREBUILT_SYSFS_ROOT=str(make_sysfs(tmp_path / "other", 90402)))
    assert "missing" in found
    assert found["reasons"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "unreadable"])
def test_a_damaged_module_is_not_loaded(
    load: Import, site: Path, kimi: KimiWheel, damage: str
) -> None:
    module = site / "aiter_prebuilt" / kimi.manifest.modules[0].file
    good = module.read_bytes()
    try:
        if damage == "truncate":
            module.write_bytes(good[:-100])
        elif damage == "flip":
            module.write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
        elif damage == "remove":
            module.unlink()
        else:
            module.unlink()
            module.mkdir()
        assert "missing" in load()
    finally:
        shutil.rmtree(module, ignore_errors=True)
        module.write_bytes(good)
    assert "name" in load()
