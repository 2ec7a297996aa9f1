from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prebuild import proc
from prebuild.bench.measure import Job, run_jobs


def test_jobs_run_in_turn_and_keep_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run(command: Sequence[str], *, env: dict[str, str], **_rest: Any) -> bytes:
        name = command[-1]
        seen.append(f"{name} {env['WAY']}")
        cost = {"began": 0.0, "seconds": 1.0, "cpu_seconds": float(len(seen)), "peak_bytes": 7}
        Path(command[3]).write_text(json.dumps(cost))
        return b""

    monkeypatch.setattr(proc, "run", run)
    jobs = [Job(name=name, way="split", command=(name,), env={"WAY": name}) for name in "ab"]
    said: list[str] = []
    found = run_jobs(jobs, runs=2, scratch=tmp_path / "scratch", say=said.append)
    assert seen == ["a a", "b b", "a a", "b b"]
    assert [sample.cpu_seconds for sample in found["split/a"]] == [1.0, 3.0]
    assert len(said) == 4
