from __future__ import annotations

import json
from pathlib import Path

from prebuild.compile.costs import Cost
from prebuild.compile.units import plan_units
from prebuild.core.settings import Settings
from prebuild.generate.fileset import write
from prebuild.generate.sources import generate
from prebuild.pipeline import elsewhere as cold
from tests.unit.prebuild.samples import FLAGS, PROJECT, kimi_plan, toolchain


def test_objects_move_and_nothing_else(tmp_path: Path) -> None:
    plan = kimi_plan(tp=[2], block_m=[128])
    write(generate(plan, PROJECT.templates), tmp_path / "src")
    (module,) = plan_units(
        plan,
        csrc=PROJECT.csrc,
        generated=tmp_path / "src",
        objects=tmp_path / "usual",
        toolchain=toolchain(tmp_path),
        flags=FLAGS,
    )
    moved = cold.move_objects(module, tmp_path / "own")
    for before, after in zip(module.hosts, moved.hosts, strict=True):
        assert after.key == before.key
        assert after.object.is_relative_to(tmp_path / "own" / "objects")
        assert after.object.name == before.object.name
    assert {u.object.parents[2] for u in moved.kernels.values()} == {tmp_path / "own"}


def test_recorded_costs_are_read_and_not_written_back(tmp_path: Path) -> None:
    usual, own = tmp_path / "usual", tmp_path / "own"
    usual.mkdir()
    text = json.dumps({"k": {"seconds": 3.0, "peak_bytes": 1}})
    (usual / "costs.json").write_text(text)
    book = cold._book(Settings(cache_dir=usual), own)
    book.record({"k": Cost(seconds=9.0, peak_bytes=1)})
    assert (usual / "costs.json").read_text() == text
    assert json.loads((own / "costs.json").read_text())["k"]["seconds"] == 9.0
