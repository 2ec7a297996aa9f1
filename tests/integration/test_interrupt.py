"""An interrupt of ``prebuild`` before its commands are imported, and once they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

INTERRUPT = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


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
