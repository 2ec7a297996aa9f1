from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prebuild.bench.measure import Job, Sample, median, run_job
from prebuild.core import proc


def test_a_job_runs_in_its_environment_and_gives_what_it_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run(command: Sequence[str], *, env: dict[str, str], **_rest: Any) -> bytes:
        seen.append(f"{command[-1]} {env['WAY']}")
        cost = {"began": 0.0, "seconds": 1.0, "cpu_seconds": 2.0, "peak_bytes": 7}
        Path(command[3]).write_text(json.dumps(cost))
        return b""

    monkeypatch.setattr(proc, "run", run)
    job = Job(name="a", way="split", command=("a",), env={"WAY": "x"})
    found = run_job(job, tmp_path / "scratch")
    assert seen == ["a x"]
    assert found == Sample(seconds=1.0, cpu_seconds=2.0, peak_bytes=7)


def test_median_takes_each_figure_by_itself() -> None:
    samples = [
        Sample(seconds=seconds, cpu_seconds=cpu, peak_bytes=1)
        for seconds, cpu in ((1.0, 9.0), (5.0, 2.0), (2.0, 3.0))
    ]
    assert median(samples) == Sample(seconds=2.0, cpu_seconds=3.0, peak_bytes=1)
