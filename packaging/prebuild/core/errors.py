"""The one error base of the build side.

A message says what was found, what was expected and what to do next; a stage that finds several
problems reports all of them in one error.  Every leaf names the exit code of the CLI, documented
in ``docs/exit-codes.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class PrebuildError(Exception):
    """Base of all errors that a user can act on; the CLI prints it without a traceback."""

    exit_code: ClassVar[int] = 1


class ProblemsError(PrebuildError):
    """Several problems of one step, reported together."""

    def __init__(self, summary: str, problems: Sequence[str]) -> None:
        self.summary = summary
        self.problems = tuple(problems)
        super().__init__("\n".join([summary, *(f"  - {problem}" for problem in self.problems)]))


class CommandError(PrebuildError):
    """A child process failed; carries the command, its exit code and its output."""

    exit_code = 5

    def __init__(self, command: Sequence[str], returncode: int, output: str) -> None:
        self.command = tuple(command)
        self.returncode = returncode
        self.output = output
        tail = output.strip() or "(no output)"
        super().__init__(f"command failed with exit code {returncode}: {' '.join(command)}\n{tail}")


class ToolchainError(ProblemsError):
    """No usable gfx950 toolchain, or one whose parts do not fit."""

    exit_code = 4


def why(error: Exception) -> str:
    """What an exception says, for a message that names the file already."""
    return getattr(error, "strerror", None) or str(error)
