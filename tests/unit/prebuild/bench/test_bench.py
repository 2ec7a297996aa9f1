from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prebuild.bench import bench as benching
from prebuild.bench.bench import PLAIN, SPLIT, TORCH, Bench, BenchError, Case
from prebuild.bench.fourinone import TorchHeaders
from prebuild.bench.measure import Job, Sample
from prebuild.compile.build import COMPILER_ENV
from prebuild.compile.costs import CostBook
from prebuild.compile.units import plan_units
from prebuild.core.model import Plan
from prebuild.core.settings import Settings
from prebuild.generate import fileset
from prebuild.generate.sources import generate
from prebuild.pipeline import build as pipeline
from tests.unit.prebuild.samples import FLAGS, PROJECT, SOURCE, kimi_plan, toolchain

CHOSEN = "gemm1_256x128x"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    def prepare(plan: Plan, *, work: Path, **_rest: Any) -> pipeline.Prepared:
        fileset.write(generate(plan, PROJECT.templates), work / "src")
        tools = toolchain(tmp_path)
        modules = plan_units(
            plan,
            csrc=PROJECT.csrc,
            generated=work / "src",
            objects=tmp_path / "objects",
            toolchain=tools,
            flags=FLAGS,
        )
        book = CostBook(tmp_path / "costs.json")
        return pipeline.Prepared(
            plan=plan,
            toolchain=tools,
            flags=FLAGS,
            modules=modules,
            work=work,
            book=book,
            source=SOURCE,
        )

    monkeypatch.setattr(pipeline, "prepare", prepare)
    return Bench(
        project=PROJECT,
        settings=Settings(cache_dir=tmp_path),
        work=tmp_path / "work",
        torch=TorchHeaders(include=(tmp_path / "torch",)),
        say=print,
    )


def full() -> Plan:
    return kimi_plan(tp=[2], coverage="full")


def test_a_chosen_instance_is_compiled_in_every_way(bench: Bench) -> None:
    jobs = bench.jobs(full(), instances=[CHOSEN], stock=False)
    assert [job.way for job in jobs] == [TORCH, PLAIN] + [SPLIT] * 4
    assert all(CHOSEN in job.name for job in jobs)
    assert not any(job.once for job in jobs)
    variants = {job.name.partition(".")[2] for job in jobs if job.way == SPLIT}
    assert variants == {"main_odd", "main_even", "nomain_odd", "nomain_even"}


def test_only_the_split_ways_get_the_settings_of_this_project(bench: Bench) -> None:
    for job in bench.jobs(full(), instances=[CHOSEN], stock=False):
        assert (job.env == COMPILER_ENV) == (job.way == SPLIT)
        assert any("torch" in part for part in job.command) == (job.way == TORCH)


def test_stock_is_all_ten_units_with_torch_in_one_round(bench: Bench) -> None:
    jobs = bench.jobs(full(), instances=[], stock=True)
    assert len(jobs) == 10
    assert {job.way for job in jobs} == {TORCH}
    assert all(job.once for job in jobs)
    text = next((bench.work / "four_in_one").glob(f"*{CHOSEN}*")).read_text()
    assert "<torch/all.h>" in text


def test_a_name_of_no_instance_is_refused_with_those_there_are(bench: Bench) -> None:
    with pytest.raises(BenchError, match=r"(?s)gemm3.*gemm1_256x128x"):
        bench.jobs(full(), instances=[CHOSEN, "gemm3"], stock=False)


def test_a_build_is_measured_cold_warm_and_as_a_whole_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.accumulate(itertools.chain([0, 50, 0, 1, 0, 3, 0, 2]))
    processes: list[Job] = []

    def build_in(_cache: Path, _plan: Plan, *, work: Path, **_rest: Any) -> Any:
        (work / "costs").mkdir(parents=True, exist_ok=True)
        for number, seconds in enumerate((20.0, 5.0)):
            cost = {"seconds": seconds, "cpu_seconds": seconds, "peak_bytes": 1}
            (work / "costs" / f"{number}.json").write_text(json.dumps(cost))
        return SimpleNamespace(prepared=SimpleNamespace(units=(1, 2)))

    def run_job(job: Job, _scratch: Path) -> Sample:
        processes.append(job)
        return Sample(seconds=float(len(processes)), cpu_seconds=0.5, peak_bytes=1)

    monkeypatch.setattr(benching, "build_in", build_in)
    monkeypatch.setattr(benching, "run_job", run_job)
    monkeypatch.setattr(benching, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    case = Case(name="case", recipe="r", tp=(1, 2), block_m=(128,), limit=0.06)
    found = bench.build(case, full())
    assert (found.cold_seconds, found.warm_seconds, found.again.seconds) == (50.0, 2.0, 2.0)
    assert (found.cpu_seconds, found.longest_cpu_seconds) == (25.0, 20.0)
    command = " ".join(processes[0].command)
    assert "prebuild build r --tp 1 --tp 2 --block-m 128 --cache" in command
