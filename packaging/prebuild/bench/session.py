"""The rounds of a bench; what was measured is kept after every step."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prebuild.bench.bench import Bench, Build, Case
from prebuild.bench.measure import Job, Sample, median
from prebuild.bench.result import Result, Stock, as_json
from prebuild.core.model import Plan
from prebuild.core.whole import whole


@dataclass(kw_only=True)
class Session:
    """What was measured so far, and where it is written; a run of 25 minutes may be interrupted."""

    compiler: str
    runs: int
    way: str
    """Of the stock module's units: with torch's headers where there are any."""
    stock: Stock | None
    """A recorded figure, or None where it is measured or not wanted."""
    measures_stock: bool
    out: Path | None
    stock_file: Path | None
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    builds: dict[str, list[Build]] = field(default_factory=dict)
    complete: bool = False
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    def run(
        self,
        bench: Bench,
        jobs: Sequence[Job],
        cases: Sequence[Case],
        plan_of: Callable[[Case], Plan],
    ) -> None:
        """Measure round by round, so that a machine that grows slower slows all ways alike."""
        self.samples = {job.key: [] for job in jobs}
        self.builds = {case.name: [] for case in cases}
        for number in range(self.runs):
            bench.say(f"round {number + 1} of {self.runs}")
            for job in jobs:
                if number == 0 or not job.once:
                    self.samples[job.key].append(bench.run(job))
                    self.keep()
            for case in cases:
                if number == 0 or not case.once:
                    self.builds[case.name].append(bench.build(case, plan_of(case)))
                    self.keep()
        self.complete = True
        self.keep()

    def keep(self) -> None:
        """Write the result, by a rename: an interruption leaves the one before."""
        if self.out:
            text = json.dumps(as_json(self.result()), indent=1) + "\n"
            with whole(self.out) as scratch:
                scratch.write_text(text, encoding="utf-8")
        if self.complete and self.stock_file and (measured := self._measured_stock()):
            measured.write(self.stock_file)

    def result(self) -> Result:
        """What there is by now."""
        return Result(
            compiler=self.compiler,
            cores=len(os.sched_getaffinity(0)),
            load=(self.load, os.getloadavg()[0]),
            runs=self.runs,
            complete=self.complete,
            samples=self.samples,
            builds=self.builds,
            stock=self._measured_stock() or self.stock,
        )

    def _measured_stock(self) -> Stock | None:
        """The stock module's figure, once all of its units have one."""
        units = [part for key, part in self.samples.items() if key.startswith(f"{self.way}/")]
        if not self.measures_stock or not units or not all(units):
            return None
        return Stock(
            cpu_seconds=sum(median(unit).cpu_seconds for unit in units),
            units=len(units),
            way=self.way,
            compiler=self.compiler,
        )
