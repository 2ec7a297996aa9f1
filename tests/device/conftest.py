"""The wheel under test on a GPU: ``DEVICE_WHEEL``, or the Kimi wheel, built now.

Skipped with HIP's own reason where there is no gfx950.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import PROJECT, kimi, settings, toolchain

__all__ = ["kimi", "settings", "toolchain"]

_PROBE = """\
import sys
from aiter_prebuilt.selftest.session import MissingError, probe
try:
    print(probe("plain", 120).arch)
except MissingError as error:
    sys.exit(str(error))
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.device)


@pytest.fixture(scope="session")
def device() -> str:
    """The GPU that HIP finds."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        env={**os.environ, "PYTHONPATH": str(PROJECT.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(done.stderr.strip() or f"looking for a GPU ended with {done.returncode}")
    return done.stdout.strip()


@pytest.fixture(scope="session")
def wheel(device: str, request: pytest.FixtureRequest) -> Path:
    assert device.startswith("gfx950")
    given = os.environ.get("DEVICE_WHEEL")
    if given:
        return Path(given)
    built: Path = request.getfixturevalue("kimi").path
    return built


@pytest.fixture
def site(wheel: Path, tmp_path: Path) -> Path:
    """A site folder with the wheel's files and the stand-in AITER."""
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for part in ("aiter", "csrc"):
        shutil.copytree(PROJECT.root / "tests" / "standin" / part, folder / part)
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Run this Python with the site folder's packages."""

    def start(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": str(site), **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return start
