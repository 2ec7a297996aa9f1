"""A wheel in clean environments, and wheels that do not work once installed."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from prebuild.release.smoke import SmokeError, smoke
from prebuild.toolchain import Toolchain
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain


def test_modules_load_here_and_with_the_real_hip_runtime(
    kimi: KimiWheel, toolchain: Toolchain
) -> None:
    said: list[str] = []
    (seen,) = smoke(kimi.path, [Path(sys.executable)], toolchain, say=said.append)
    assert seen.modules == len(kimi.manifest.modules)
    assert seen.real_hip == toolchain.hip_runtime
    assert said


def test_the_newest_python_that_is_here(kimi: KimiWheel, toolchain: Toolchain) -> None:
    if toolchain.python is None:
        pytest.skip("this toolchain has no Python of its own")
    (seen,) = smoke(kimi.path, [toolchain.python], toolchain, say=lambda _: None)
    assert tuple(map(int, seen.python.split(".")[:2])) >= (3, 14)


def test_a_wheel_without_its_start_up_file_does_not_pass(
    kimi: KimiWheel, toolchain: Toolchain, tmp_path: Path
) -> None:
    broken = tmp_path / kimi.path.name
    with zipfile.ZipFile(kimi.path) as old, zipfile.ZipFile(broken, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("RECORD"):
                lines = data.decode().splitlines(keepends=True)
                data = "".join(line for line in lines if ".pth" not in line).encode()
            if not info.filename.endswith(".pth"):
                new.writestr(info, data)
    with pytest.raises(SmokeError, match="finder is not installed"):
        smoke(broken, [Path(sys.executable)], toolchain, say=lambda _: None)
