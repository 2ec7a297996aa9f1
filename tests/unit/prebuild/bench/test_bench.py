from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prebuild import fileset, pipeline
from prebuild.bench import bench as benching
from prebuild.bench.bench import PLAIN, SPLIT, TORCH, Bench
from prebuild.bench.fourinone import TorchHeaders
from prebuild.bench.measure import Job
from prebuild.compile.build import COMPILER_ENV
from prebuild.compile.costs import CostBook
from prebuild.compile.units import plan_units
from prebuild.generate import generate
from prebuild.model import Plan
from prebuild.settings import Settings
from tests.unit.prebuild.compile.test_units import FLAGS, toolchain
from tests.unit.prebuild.samples import PROJECT, kimi_plan

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
            plan=plan, toolchain=tools, flags=FLAGS, modules=modules, work=work, book=book
        )

    monkeypatch.setattr(pipeline, "prepare", prepare)
    return Bench(
        project=PROJECT,
        settings=Settings(cache_dir=tmp_path),
        work=tmp_path / "work",
        torch=TorchHeaders(include=(tmp_path / "torch",)),
        say=print,
    )


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    seen: list[Job] = []

    def run(found: Sequence[Job], **_rest: Any) -> dict[str, list[Any]]:
        seen.extend(found)
        return {}

    monkeypatch.setattr(benching, "run_jobs", run)
    return seen


def test_a_chosen_instance_is_compiled_in_every_way(bench: Bench, jobs: list[Job]) -> None:
    bench.compare(kimi_plan(tp=[2], coverage="full"), instances=[CHOSEN], stock=False, runs=1)
    assert [job.way for job in jobs] == [TORCH, PLAIN] + [SPLIT] * 4
    assert all(CHOSEN in job.name for job in jobs)
    variants = {job.name.partition(".")[2] for job in jobs if job.way == SPLIT}
    assert variants == {"main_odd", "main_even", "nomain_odd", "nomain_even"}


def test_only_the_split_ways_get_the_settings_of_this_project(
    bench: Bench, jobs: list[Job]
) -> None:
    bench.compare(kimi_plan(tp=[2], coverage="full"), instances=[CHOSEN], stock=False, runs=1)
    for job in jobs:
        assert (job.env == COMPILER_ENV) == (job.way == SPLIT)
        assert any("torch" in part for part in job.command) == (job.way == TORCH)


def test_stock_is_all_ten_units_with_torch(bench: Bench, jobs: list[Job]) -> None:
    bench.compare(kimi_plan(tp=[2], coverage="full"), instances=[], stock=True, runs=1)
    assert len(jobs) == 10
    assert {job.way for job in jobs} == {TORCH}
    text = next((bench.work / "four_in_one").glob(f"*{CHOSEN}*")).read_text()
    assert "<torch/all.h>" in text
