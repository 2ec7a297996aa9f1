"""What integration tests share: the toolchain, the Kimi wheel, fresh environments."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiter_prebuilt.wheel.manifest import Manifest, parse
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.recording import Recorder, build_runtime
from prebuild.toolchain import Toolchain
from prebuild.toolchain import load as load_toolchain

PROJECT = Project.here()


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings.from_environ(os.environ)


@pytest.fixture(scope="session")
def toolchain(settings: Settings) -> Toolchain:
    return load_toolchain(settings)


@dataclass(frozen=True, kw_only=True)
class KimiWheel:
    """The first recipe's wheel, built through PEP 517, and what is in it."""

    path: Path
    unpacked: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.manifest.modules[0].name

    @property
    def module(self) -> Path:
        return self.unpacked / "aiter_prebuilt" / self.manifest.modules[0].file


@pytest.fixture(scope="session")
def kimi(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain) -> KimiWheel:
    """Build the wheel as `make wheel RECIPE=kimi-k2.5-mxfp4` does; minutes without a cache."""
    assert toolchain.kind
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    done = subprocess.run(
        [*command, "-C", "recipe=kimi-k2.5-mxfp4", PROJECT.root],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (path,) = folder.glob("*.whl")
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(unpacked)
    text = (unpacked / "aiter_prebuilt" / "manifest.json").read_text()
    return KimiWheel(path=path, unpacked=unpacked, manifest=parse(text))


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain) -> Recorder:
    return Recorder(runtime=build_runtime(toolchain, tmp_path_factory.mktemp("hip")))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, kimi: KimiWheel) -> Path:
    """A fresh virtual environment with nothing but the wheel; returns its folder."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, kimi.path], check=True)
    return folder
