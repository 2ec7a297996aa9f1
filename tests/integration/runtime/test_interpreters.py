"""One module, built once, for every CPython from the floor on that this machine has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prebuild.toolchain import Toolchain
from tests.integration.runtime.conftest import command
from tests.integration.runtime.faults import Stage

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


def _places(version: str, toolchain: Toolchain) -> Iterator[str]:
    found = shutil.which(f"python{version}")
    if found is not None:
        yield found
    neighbours = Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}")
    yield from map(str, sorted(neighbours))
    if toolchain.python is not None:  # Debian's newest, unpacked beside the compiler
        yield str(toolchain.python)


def _interpreter(version: str, toolchain: Toolchain) -> str:
    """Return the program of that CPython; skips the test where this machine has none."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for path in _places(version, toolchain):
        done = subprocess.run([path, "-c", ask], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return path
    pytest.skip(f"no CPython {version} on this machine")


@pytest.mark.parametrize("version", VERSIONS)
def test_from_the_floor_on_the_module_is_served(
    version: str, stage: Stage, toolchain: Toolchain
) -> None:
    python = _interpreter(version, toolchain)
    line = [python, *command(stage)[1:]]
    done = subprocess.run(line, env=stage.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    expected = "jit" if version == "3.9" else "prebuilt"
    assert result["answer"].partition(":")[0] == expected, result


_WORKERS = """\
import logging, multiprocessing
from aiter_prebuilt import _hook
def ask():
    try:
        import module_moe_ck2stages_of_nobody
    except ModuleNotFoundError:
        pass
_hook.install()
logging.basicConfig(level=logging.INFO)
ask()
for _ in range(2):
    worker = multiprocessing.get_context("fork").Process(target=ask)
    worker.start()
    worker.join()
"""


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_every_forked_worker_says_its_own_last_line(
    version: str, stage: Stage, toolchain: Toolchain
) -> None:
    python = _interpreter(version, toolchain)
    env = {**stage.env, "PYTHONPATH": str(stage.site), "AITER_JIT_DIR": str(stage.site)}
    done = subprocess.run(
        [python, "-c", _WORKERS], env=env, capture_output=True, text=True, check=False
    )
    assert done.stderr.count("modules served in") == 3, done.stderr
