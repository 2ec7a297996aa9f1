"""The one door for child processes: logs each command, wraps each failure."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from prebuild.errors import CommandError

log = logging.getLogger(__name__)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> bytes:
    """Run ``command`` to its end and return its stdout.

    ``env`` is added to the current environment.  Raises :class:`CommandError` with stdout and
    stderr where the exit code is not 0 or the program cannot be started.
    """
    argv = [str(part) for part in command]
    log.debug("run: %s", " ".join(argv))
    merged = {**os.environ, **env} if env else None
    try:
        done = subprocess.run(
            argv, cwd=cwd, env=merged, input=stdin, capture_output=True, check=False
        )
    except OSError as error:
        raise CommandError(argv, 127, f"cannot start {argv[0]}: {error}") from error
    if done.returncode != 0:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise CommandError(argv, done.returncode, output)
    return done.stdout


def run_attached(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run ``command`` on this terminal (its output is the user's) and return its exit code."""
    argv = [str(part) for part in command]
    log.debug("run attached: %s", " ".join(argv))
    merged = {**os.environ, **env} if env else None
    return subprocess.run(argv, cwd=cwd, env=merged, check=False).returncode
