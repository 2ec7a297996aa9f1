"""The state of the sources that a wheel is built from: commit, dirty or not, and their time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prebuild.core.errors import CommandError
from prebuild.core.git import git

UNKNOWN = "unknown"
_EPOCH = 315532800
"""1980-01-01, the earliest time that a zip archive can hold."""


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """What git says; of an unpacked sdist nothing is known."""

    commit: str
    dirty: bool
    epoch: int
    """Seconds since 1970 of the commit, for SOURCE_DATE_EPOCH."""


def source_state(root: Path) -> SourceState:
    """Return the state of the checkout at ``root``."""
    if not (root / ".git").exists():
        return SourceState(commit=UNKNOWN, dirty=False, epoch=_EPOCH)
    try:
        commit, epoch = git(root, "log", "-1", "--format=%H %ct").split()
        dirty = bool(git(root, "status", "--porcelain"))
    except (CommandError, ValueError):
        return SourceState(commit=UNKNOWN, dirty=True, epoch=_EPOCH)
    return SourceState(commit=commit, dirty=dirty, epoch=int(epoch))
