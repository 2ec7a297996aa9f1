"""Run compiles one at a time and keep what each cost, run by run."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.compile import measure as wrapper
from prebuild.core import proc


@dataclass(frozen=True, kw_only=True)
class Job:
    """One compile of the bench."""

    name: str
    """What is compiled: an AITER instance's or a kernel's name."""
    way: str
    """How: ``four-in-one+torch``, ``four-in-one`` or ``split``."""
    command: tuple[str, ...]
    env: Mapping[str, str]
    once: bool = False
    """Measured in the first round alone, because it takes long and no ratio of its own is made."""

    @property
    def key(self) -> str:
        """``way/name``."""
        return f"{self.way}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of a job: wall and CPU seconds of all its processes, peak bytes of the largest."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def median(samples: Sequence[Sample]) -> Sample:
    """The median of each figure by itself."""
    return Sample(
        seconds=statistics.median(sample.seconds for sample in samples),
        cpu_seconds=statistics.median(sample.cpu_seconds for sample in samples),
        peak_bytes=int(statistics.median(sample.peak_bytes for sample in samples)),
    )


def run_job(job: Job, scratch: Path) -> Sample:
    """Run one job through the script that measures a build's compiles, too."""
    scratch.mkdir(parents=True, exist_ok=True)
    cost = scratch / "cost.json"
    program = str(Path(wrapper.__file__))
    proc.run([sys.executable, "-S", program, str(cost), *job.command], env=job.env)
    raw = json.loads(cost.read_text())
    return Sample(
        seconds=raw["seconds"], cpu_seconds=raw["cpu_seconds"], peak_bytes=raw["peak_bytes"]
    )
