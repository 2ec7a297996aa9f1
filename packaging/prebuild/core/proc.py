"""The one door for child processes: logs each command, wraps each failure."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prebuild.core.errors import CommandError

log = logging.getLogger(__name__)

_COMPILER_VARIABLES = (
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH"),
    *("CCC_OVERRIDE_OPTIONS", "CCC_ADD_ARGS", "GCC_EXEC_PREFIX"),
)
"""What clang reads beside its command line: other headers, libraries and options, of which neither
a manifest nor the key of an object would know.  No child gets them."""


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    path_first: Path | None = None,
) -> bytes:
    """Run ``command`` to its end and return its stdout.

    ``env`` is added to the current environment, ``path_first`` to the front of ``PATH`` (for
    programs that look for others).  Raises :class:`CommandError` with stdout and
    stderr where the exit code is not 0 or the program cannot be started.
    """
    argv = [str(part) for part in command]
    log.debug("run: %s", " ".join(argv))
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=_environment(env, path_first),
            input=stdin,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise CommandError(argv, 127, f"cannot start {argv[0]}: {error}") from error
    if done.returncode != 0:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise CommandError(argv, done.returncode, output)
    return done.stdout


def _environment(env: Mapping[str, str] | None, path_first: Path | None = None) -> dict[str, str]:
    merged = {name: value for name, value in os.environ.items() if name not in _COMPILER_VARIABLES}
    merged |= env or {}
    if path_first is not None:
        merged["PATH"] = os.pathsep.join([str(path_first), merged.get("PATH", "")])
    return merged


def run_attached(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run ``command`` on this terminal (its output is the user's) and return its exit code."""
    argv = [str(part) for part in command]
    log.debug("run attached: %s", " ".join(argv))
    environment = _environment(env)
    return subprocess.run(argv, cwd=cwd, env=environment, check=False).returncode


def stream(
    command: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run ``command``, hand each line of its output to ``on_line``, return its exit code.

    An interrupt is passed on to the child, which is then waited for, so that it can put its own
    files in order.
    """
    argv = [str(part) for part in command]
    log.debug("stream: %s", " ".join(argv))
    environment = _environment(env)
    with subprocess.Popen(
        argv, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None  # noqa: S101  it is a pipe, as asked for above
        try:
            for line in child.stdout:
                on_line(line.rstrip("\n"))
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise
