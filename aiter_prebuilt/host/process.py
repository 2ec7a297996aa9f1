"""Processes as ``/proc`` shows them: when they began, their environment, the files they mapped."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
_START_FIELD = 19
"""``starttime`` of proc(5)'s stat, counted behind the name in brackets, which may hold anything."""
_PATH_FIELD = 5


def booted(proc: Path = PROC) -> float | None:
    """When this machine started, in seconds since 1970; None where /proc does not say."""
    try:
        for line in (proc / "stat").read_text(encoding="ascii").splitlines():
            if line.startswith("btime "):
                return float(line.split()[1])
    except (OSError, ValueError):
        pass
    return None


def started(pid: int, proc: Path = PROC) -> float | None:
    """When a process began, in seconds since 1970; None where it is not there."""
    boot = booted(proc)
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        ticks = int(text.rpartition(")")[2].split()[_START_FIELD])
    except (OSError, ValueError, IndexError):
        return None
    return None if boot is None else boot + ticks / os.sysconf("SC_CLK_TCK")


def environment(pid: int, proc: Path = PROC) -> dict[str, str]:
    """What a process was started with; raises OSError where it is not there, or another user's."""
    data = (proc / str(pid) / "environ").read_bytes()
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def mapped_files(pid: int, proc: Path = PROC) -> tuple[str, ...]:
    """Paths of the files that a process has mapped, each once; raises OSError as above.

    A file that was removed or replaced since bears `` (deleted)`` behind its path.
    """
    text = os.fsdecode((proc / str(pid) / "maps").read_bytes())
    paths = (line.split(None, _PATH_FIELD)[_PATH_FIELD:] for line in text.splitlines())
    return tuple(dict.fromkeys(found[0] for found in paths if found and found[0].startswith("/")))
