"""Fixtures for tests that load real modules in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from prebuild.recording import Call, driver
from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.faults import Stage

DRIVER = Path(__file__).parent / "driver.py"
DRIVER_REAL = Path(__file__).parent / "driver_real.py"


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> make.Parts:
    """What is compiled once."""
    folder = tmp_path_factory.mktemp("parts")
    return make.make_parts(folder)


@pytest.fixture
def stage(tmp_path: Path, parts: make.Parts) -> Iterator[Stage]:
    """A healthy site for one test."""
    site = tmp_path / "site"
    package = make.make_site(site, parts)
    env = {
        "AITER_PREBUILT_SYSFS_ROOT": str(make.make_sysfs(tmp_path / "sys", 90500)),
        "LD_LIBRARY_PATH": str(parts.hip.parent),
        "STANDIN_BUILDS": str(parts.builds),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.environ["PATH"],
    }
    yield Stage(site=site, package=package, parts=parts, env=env)
    for path in (site, package, package / "modules"):
        if path.exists():
            path.chmod(0o755)


def command(stage: Stage, topk: int = 8) -> list[str]:
    """The command line of the driver."""
    return [sys.executable, "-S", str(DRIVER), str(stage.site), str(topk), *stage.statements]


@pytest.fixture
def run(stage: Stage) -> Callable[..., dict[str, Any]]:
    """Call through the stand-in AITER in a new process; the process has to live."""

    def run_once(topk: int = 8, **env: str) -> dict[str, Any]:
        done = subprocess.run(
            command(stage, topk),
            env={**stage.env, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"the process died: {done.returncode} {done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        result["stderr"] = done.stderr
        return result

    return run_once


def make_calls(site: Path, calls: Iterable[Call], env: Mapping[str, str]) -> dict[str, Any]:
    """Call the real module of ``site`` through a stand-in AITER, all in one process."""
    done = subprocess.run(
        [sys.executable, "-S", str(DRIVER_REAL), str(site), driver.__file__],
        input=json.dumps([[call.function, list(call.args)] for call in calls]),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
