"""An interrupt of ``prebuild`` while it imports and once it has, and of calls in processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from prebuild.core.workers import spread

INTERRUPT = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A child inherits an ignored SIGINT, which tests in the background of a script have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    """Run ``prebuild schema`` with a module of ours in front of the real one."""
    (folder / f"{module}.py").write_text(INTERRUPT)
    return subprocess.run(
        [sys.executable, "-m", "prebuild", "schema"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


def test_while_the_command_line_is_imported_it_ends_as_any_program_does(tmp_path: Path) -> None:
    done = start(tmp_path, "typer")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_while_a_command_is_imported_it_says_so(tmp_path: Path) -> None:
    done = start(tmp_path, "yaml")
    assert done.returncode == 130
    assert done.stderr == (
        "prebuild: interrupted; finished objects are kept, run it again to go on\n"
    )


def begin(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    return number


def test_calls_that_have_not_begun_are_dropped(tmp_path: Path) -> None:
    with closing(spread((partial(begin, tmp_path, each) for each in range(2000)), 2)) as done:
        assert next(done) in range(2000)
    assert 0 < len(list(tmp_path.iterdir())) < 2000


def test_every_call_is_made_once(tmp_path: Path) -> None:
    with closing(spread((partial(begin, tmp_path, each) for each in range(9)), 2)) as done:
        assert sorted(done) == list(range(9))
