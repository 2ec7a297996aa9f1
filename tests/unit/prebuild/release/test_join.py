from __future__ import annotations

import json
from pathlib import Path

import pytest

from prebuild.compile.costs import CostBook
from prebuild.compile.units import Unit
from prebuild.release.join import Joined, JoinError, join


def part(folder: Path, name: str, objects: list[str], seconds: float) -> None:
    for key in objects:
        path = folder / name / "objects" / key[:2] / f"{key}.co"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(key)
    costs = {f"unit-{name}": {"seconds": seconds, "peak_bytes": 1}}
    (folder / name / "costs.json").write_text(json.dumps(costs))


def unit(name: str) -> Unit:
    return Unit(
        id=name,
        kind="kernel",
        source=Path(),
        include=(),
        flags=(),
        sources={},
        key="",
        object=Path(),
    )


def test_objects_and_costs_of_all_parts_come_together(tmp_path: Path) -> None:
    parts, cache = tmp_path / "parts", tmp_path / "cache"
    part(parts, "1", ["aa1", "bb2"], 10.0)
    part(parts, "2", ["bb2", "cc3"], 20.0)
    assert join(parts, cache) == Joined(parts=2, objects=3, costs=2)
    assert sorted(path.stem for path in cache.glob("objects/*/*")) == ["aa1", "bb2", "cc3"]
    book = CostBook(cache / "costs.json")
    assert [book.of(unit(f"unit-{n}")).seconds for n in (1, 2)] == [10.0, 20.0]


def test_what_the_cache_has_stays(tmp_path: Path) -> None:
    part(tmp_path / "parts", "1", ["aa1"], 1.0)
    here = tmp_path / "cache" / "objects" / "aa" / "aa1.co"
    here.parent.mkdir(parents=True)
    here.write_text("here")
    assert join(tmp_path / "parts", tmp_path / "cache").objects == 0
    assert here.read_text() == "here"


def test_no_parts_and_broken_costs_are_said(tmp_path: Path) -> None:
    with pytest.raises(JoinError, match="holds no parts"):
        join(tmp_path, tmp_path / "cache")
    part(tmp_path / "parts", "1", ["aa1"], 1.0)
    (tmp_path / "parts" / "1" / "costs.json").write_text("{")
    with pytest.raises(JoinError, match=r"costs\.json"):
        join(tmp_path / "parts", tmp_path / "cache")
