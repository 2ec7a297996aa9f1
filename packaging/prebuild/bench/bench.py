"""The bench: the four-in-one build, the split build, the case of ROCm/aiter#3566, a warm cache.

Everything in one run on one machine with one compiler; jobs of the comparisons run one at a time
and in turn, so that their ratio holds where the machine is slow or busy.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild import pipeline
from prebuild.bench import fourinone
from prebuild.bench.cold import build_in
from prebuild.bench.measure import Job, Sample, run_jobs
from prebuild.compile.build import COMPILER_ENV, compiler_command, read_costs
from prebuild.compile.units import ModuleUnits, Unit
from prebuild.model import Plan
from prebuild.project import Project
from prebuild.settings import Settings

TORCH = "four-in-one+torch"
PLAIN = "four-in-one"
SPLIT = "split"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Build:
    """A whole build from an empty object cache, and the same build again."""

    name: str
    units: int
    cold_seconds: float
    warm_seconds: float
    cpu_seconds: float
    """All compiles of the cold build."""
    limit: float
    """Of the stock module's CPU seconds."""
    longest_cpu_seconds: float
    """CPU seconds of its longest compile: the critical path where there are cores enough."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The bench's surroundings; ``work`` is a scratch folder."""

    project: Project
    settings: Settings
    work: Path
    torch: fourinone.TorchHeaders | None
    say: Say

    def compare(
        self, full: Plan, *, instances: Sequence[str], stock: bool, runs: int
    ) -> dict[str, list[Sample]]:
        """Compile instances four-in-one and split.

        ``instances`` are parts of names (``gemm1_256x128``).  With ``stock`` also the four-in-one
        units of all other instances of ``full``, which is AITER's own module.
        """
        prepared = pipeline.prepare(
            full, project=self.project, settings=self.settings, work=self.work / "full"
        )
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
        return run_jobs(jobs, runs=runs, scratch=self.work / "objects", say=self.say)

    def build(self, name: str, plan: Plan, *, limit: float) -> Build:
        """Build ``plan`` with an empty object cache, then again with the warm one."""
        cache, work = self.work / "cache", self.work / "build"
        for folder in (cache, work):
            shutil.rmtree(folder, ignore_errors=True)
        times = []
        for _ in range(2):
            began = time.monotonic()
            built = build_in(cache, plan, project=self.project, settings=self.settings, work=work)
            times.append(time.monotonic() - began)
        costs = read_costs(work / "costs").values()
        self.say(f"{name}: {times[0]:.1f} s, again {times[1]:.2f} s")
        return Build(
            name=name,
            limit=limit,
            units=len(built.prepared.units),
            cold_seconds=times[0],
            warm_seconds=times[1],
            cpu_seconds=sum(cost["cpu_seconds"] for cost in costs),
            longest_cpu_seconds=max(cost["cpu_seconds"] for cost in costs),
        )

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
            jobs.append(
                Job(name=instance, way=way, command=tuple(command), env=prepared.toolchain.env)
            )
        return jobs

    def _split(self, prepared: pipeline.Prepared, unit: Unit) -> Job:
        output = self.work / "objects" / "split.o"
        command = [*compiler_command(unit, prepared.toolchain), "-o", str(output)]
        env = {**COMPILER_ENV, **prepared.toolchain.env}
        return Job(name=unit.id, way=SPLIT, command=tuple(command), env=env)
