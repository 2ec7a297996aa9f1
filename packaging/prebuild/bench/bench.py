"""The bench: the four-in-one build, the split build, the case of ROCm/aiter#3566, a warm cache.

Everything in one run on one machine with one compiler; jobs of the comparisons run one at a time
and in turn, so that their ratio holds where the machine is slow or busy.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.bench import fourinone
from prebuild.bench.measure import Job, Sample, median, run_job
from prebuild.compile.build import COMPILER_ENV, compiler_command, read_costs
from prebuild.compile.units import ModuleUnits, Unit
from prebuild.core.errors import PrebuildError
from prebuild.core.model import Plan
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.pipeline import build as pipeline
from prebuild.pipeline.elsewhere import build_in

TORCH = "four-in-one+torch"
PLAIN = "four-in-one"
SPLIT = "split"
AGAIN = "again"
WARM_RUNS = 3
"""A warm build takes a second: too short to be measured once."""
Say = Callable[[str], None]


class BenchError(PrebuildError):
    """There is nothing to measure."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """A build to measure: a recipe's deployment and what it may cost."""

    name: str
    recipe: str
    tp: tuple[int, ...]
    block_m: tuple[int, ...] = ()
    limit: float
    """Of the stock module's CPU seconds."""
    once: bool = False
    """Measured in the first round alone."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The same, for ``prebuild build``."""
        sizes = [part for size in self.tp for part in ("--tp", str(size))]
        sizes += [part for size in self.block_m for part in ("--block-m", str(size))]
        return (self.recipe, *sizes)


@dataclass(frozen=True, kw_only=True)
class Build:
    """A whole build from an empty object cache, and the same build again."""

    name: str
    units: int
    cold_seconds: float
    cpu_seconds: float
    """All compiles of the cold build."""
    longest_cpu_seconds: float
    """CPU seconds of its longest compile: the critical path where there are cores enough."""
    warm_seconds: float
    """The second build in the process that made the first: no start of Python."""
    again: Sample
    """``prebuild build`` once more, start of Python and end included: what a person waits for."""
    limit: float


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The bench's surroundings; ``work`` is a scratch folder."""

    project: Project
    settings: Settings
    work: Path
    torch: fourinone.TorchHeaders | None
    say: Say

    def jobs(self, full: Plan, *, instances: Sequence[str], stock: bool) -> list[Job]:
        """Return the compiles of instances, four-in-one and split.

        ``instances`` are parts of names (``gemm1_256x128``).  With ``stock`` also the four-in-one
        units of all other instances of ``full``, which is AITER's own module.  Raises
        :class:`BenchError` where a part is in no name.
        """
        prepared = pipeline.prepare(
            full, project=self.project, settings=self.settings, work=self.work / "full"
        )
        _require(instances, prepared)
        jobs: list[Job] = []
        for module in prepared.modules:
            for instance in module.module.built:
                chosen = any(part in instance.name for part in instances)
                if chosen or stock:
                    jobs += self._four_in_one(prepared, module, instance.name, both=chosen)
                if chosen:
                    wanted = {kernel.id for kernel in instance.kernels}
                    units = [unit for name, unit in module.kernels.items() if name in wanted]
                    jobs += [self._split(prepared, unit) for unit in units]
        return jobs

    def run(self, job: Job) -> Sample:
        """Run one compile and say what it cost."""
        sample = run_job(job, self.work / "objects")
        self.say(f"{sample.cpu_seconds:7.1f} CPU s  {job.key}")
        return sample

    def build(self, case: Case, plan: Plan) -> Build:
        """Build ``plan`` with an empty object cache, then again with the warm one."""
        cache, work = self.work / "cache", self.work / "build"
        for folder in (cache, work):
            shutil.rmtree(folder, ignore_errors=True)
        times = []
        for _ in range(1 + WARM_RUNS):
            began = time.monotonic()
            built = build_in(cache, plan, project=self.project, settings=self.settings, work=work)
            times.append(time.monotonic() - began)
        costs = read_costs(work / "costs").values()
        again = median([self._again(case, cache, work) for _ in range(WARM_RUNS)])
        warm = statistics.median(times[1:])
        self.say(f"{case.name}: {times[0]:.1f} s, again {warm:.2f} s, {again.seconds:.2f} s in all")
        return Build(
            name=case.name,
            limit=case.limit,
            units=len(built.prepared.units),
            cold_seconds=times[0],
            warm_seconds=warm,
            again=again,
            cpu_seconds=sum(cost["cpu_seconds"] for cost in costs),
            longest_cpu_seconds=max(cost["cpu_seconds"] for cost in costs),
        )

    def _again(self, case: Case, cache: Path, work: Path) -> Sample:
        places = ("--cache", str(cache), "--work", str(work))
        command = (sys.executable, "-m", "prebuild", "build", *case.arguments, *places)
        return run_job(Job(name=case.name, way=AGAIN, command=command, env={}), self.work)

    def _four_in_one(
        self, prepared: pipeline.Prepared, module: ModuleUnits, instance: str, *, both: bool
    ) -> list[Job]:
        folder = self.work / "four_in_one"
        folder.mkdir(parents=True, exist_ok=True)
        ways = [way for way in (TORCH, PLAIN) if way == PLAIN or self.torch]
        jobs = []
        for way in ways if both else ways[:1]:
            unit = folder / f"{instance}.{way}.cu"
            unit.write_text(fourinone.source(instance, torch=way == TORCH), encoding="utf-8")
            command = fourinone.command(
                unit,
                self.work / "objects" / "four_in_one.o",
                toolchain=prepared.toolchain,
                flags=prepared.flags,
                include=(
                    prepared.work / "src" / module.module.name / "instances",
                    self.project.csrc,
                ),
                torch=self.torch if way == TORCH else None,
            )
            # As hipcc runs it: without the settings that this project gives its compiler.
            env = prepared.toolchain.env
            jobs.append(Job(name=instance, way=way, command=tuple(command), env=env, once=not both))
        return jobs

    def _split(self, prepared: pipeline.Prepared, unit: Unit) -> Job:
        output = self.work / "objects" / "split.o"
        command = [*compiler_command(unit, prepared.toolchain), "-o", str(output)]
        env = {**COMPILER_ENV, **prepared.toolchain.env}
        return Job(name=unit.id, way=SPLIT, command=tuple(command), env=env)


def _require(instances: Sequence[str], prepared: pipeline.Prepared) -> None:
    names = [part.name for module in prepared.modules for part in module.module.built]
    absent = [part for part in instances if not any(part in name for name in names)]
    if absent:
        msg = f"in no instance's name: {', '.join(absent)}; there are\n  "
        raise BenchError(msg + "\n  ".join(names))
