from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from prebuild.compile.costs import ESTIMATES, Cost, CostBook, longest_first, shard
from prebuild.compile.units import Unit


def unit(name: str) -> Unit:
    path = Path(name)
    return Unit(id=name, kind="kernel", source=path, include=(), flags=(), key=name, object=path)


def book(tmp_path: Path, seconds: dict[str, float]) -> CostBook:
    made = CostBook(tmp_path / "costs.json")
    made.record({name: Cost(seconds=value, peak_bytes=1) for name, value in seconds.items()})
    return CostBook(tmp_path / "costs.json")


def test_the_longest_goes_first(tmp_path: Path) -> None:
    costs = book(tmp_path, {"a": 1, "b": 30, "c": 20})
    ordered = longest_first([unit(name) for name in "abc"], costs)
    assert [item.id for item in ordered] == ["b", "c", "a"]


def test_a_unit_never_compiled_gets_the_estimate_of_its_kind(tmp_path: Path) -> None:
    assert book(tmp_path, {}).of(unit("new")) == ESTIMATES["kernel"]


def test_a_damaged_book_costs_an_estimate_not_a_build(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"a": 3}', '{"a": {"seconds": 1}}'):
        (tmp_path / "costs.json").write_text(text)
        assert CostBook(tmp_path / "costs.json").of(unit("a")) == ESTIMATES["kernel"]


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=40), st.integers(1, 7))
def test_shards_are_a_partition_and_no_shard_exceeds_mean_plus_longest(
    seconds: list[float], count: int
) -> None:
    costs = CostBook(Path("/nonexistent/costs.json"))
    costs._costs = {str(i): Cost(seconds=value, peak_bytes=1) for i, value in enumerate(seconds)}
    units = [unit(str(i)) for i in range(len(seconds))]
    parts = shard(units, costs, count)
    assert sorted(item.id for part in parts for item in part) == sorted(u.id for u in units)
    loads = [sum(costs.of(item).seconds for item in part) for part in parts]
    assert max(loads) <= sum(seconds) / count + max(seconds) + 1e-6
