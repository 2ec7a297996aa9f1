"""How many compiles fit: by cores and by the memory that the machine or its cgroup has left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

RESERVE = 512 << 20
"""Bytes left to everything else."""


def available_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that can still be had: MemAvailable, or less where a cgroup limits it."""
    meminfo = (proc / "meminfo").read_text()
    fields = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    free = int(fields["MemAvailable"].split()[0]) * 1024
    limit = _number(cgroup / "memory.max")
    used = _number(cgroup / "memory.current")
    return free if limit is None or used is None else min(free, max(limit - used, 0))


def job_count(peaks: Sequence[int], *, cores: int | None = None, available: int) -> int:
    """Return how many of the largest compiles run side by side within ``available`` bytes.

    ``peaks`` are the peak bytes of the compiles to come.  At least one: a build that may be tight
    is better than none.
    """
    most = cores if cores is not None else len(os.sched_getaffinity(0))
    room = available - RESERVE
    jobs = 0
    for peak in sorted(peaks, reverse=True)[:most]:
        if peak > room:
            break
        room -= peak
        jobs += 1
    return max(jobs, 1)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
