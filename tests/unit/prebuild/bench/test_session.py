from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prebuild.bench.bench import Bench, Build, Case
from prebuild.bench.measure import Job, Sample
from prebuild.bench.result import Stock
from prebuild.bench.session import Session
from prebuild.core.model import Plan
from prebuild.core.settings import Settings
from tests.unit.prebuild.samples import PROJECT, kimi_plan

WAY = "four-in-one"
CASE = Case(name="case", recipe="r", tp=(2,), limit=0.06)
WIDE = Case(name="wide", recipe="r", tp=(1,), limit=0.15, once=True)


@dataclass(frozen=True, kw_only=True)
class Steps(Bench):
    """A bench that measures nothing and stops, as an interruption does, before ``stop``."""

    seen: list[str] = field(default_factory=list)
    stop: int = 1000

    def run(self, job: Job) -> Sample:
        self._step(job.key)
        return Sample(seconds=1.0, cpu_seconds=float(len(self.seen)), peak_bytes=1)

    def build(self, case: Case, plan: Plan) -> Build:
        assert plan.modules
        self._step(case.name)
        again = Sample(seconds=1.0, cpu_seconds=0.3, peak_bytes=1)
        figures: dict[str, Any] = dict.fromkeys(
            ("cold_seconds", "cpu_seconds", "longest_cpu_seconds", "warm_seconds"), 10.0
        )
        return Build(name=case.name, units=1, again=again, limit=case.limit, **figures)

    def _step(self, what: str) -> None:
        if len(self.seen) == self.stop:
            raise KeyboardInterrupt
        self.seen.append(what)


def steps(tmp_path: Path, **changes: Any) -> Steps:
    return Steps(
        project=PROJECT,
        settings=Settings(cache_dir=tmp_path),
        work=tmp_path,
        torch=None,
        say=lambda _line: None,
        **changes,
    )


def session(tmp_path: Path, **changes: Any) -> Session:
    values: dict[str, Any] = {
        "compiler": "clang 22",
        "runs": 2,
        "way": WAY,
        "stock": None,
        "measures_stock": False,
        "out": tmp_path / "bench.json",
        "stock_file": None,
    }
    return Session(**(values | changes))


def jobs() -> list[Job]:
    made = [Job(name=name, way=WAY, command=(), env={}) for name in "ab"]
    return [*made, Job(name="c", way=WAY, command=(), env={}, once=True)]


def run(made: Session, bench: Bench) -> None:
    made.run(bench, jobs(), (CASE, WIDE), lambda _case: kimi_plan(tp=[2]))


def test_rounds_run_in_turn_and_what_is_long_runs_once(tmp_path: Path) -> None:
    bench, made = steps(tmp_path), session(tmp_path)
    run(made, bench)
    a, b, c = (f"{WAY}/{name}" for name in "abc")
    assert bench.seen == [a, b, c, "case", "wide", a, b, "case"]
    assert made.result().complete
    assert [sample.cpu_seconds for sample in made.samples[a]] == [1.0, 6.0]


@pytest.mark.parametrize("stop", [1, 4, 6])
def test_an_interrupted_run_has_written_what_it_measured(tmp_path: Path, stop: int) -> None:
    made = session(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(made, steps(tmp_path, stop=stop))
    kept = json.loads((tmp_path / "bench.json").read_text())
    measured = sum(
        len(found["runs"]) for part in ("jobs", "builds") for found in kept[part].values()
    )
    assert measured == stop
    assert kept["complete"] is False


def test_a_stock_figure_counts_only_when_all_units_have_one(tmp_path: Path) -> None:
    file = tmp_path / "stock.json"
    cut = session(tmp_path, measures_stock=True, stock_file=file)
    with pytest.raises(KeyboardInterrupt):
        run(cut, steps(tmp_path, stop=2))
    assert cut.result().stock is None
    assert not file.exists()
    whole = session(tmp_path, measures_stock=True, stock_file=file)
    run(whole, steps(tmp_path))
    assert Stock.read(file, "clang 22").cpu_seconds == 3.5 + 4.5 + 3.0
