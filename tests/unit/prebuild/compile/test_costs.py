from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from prebuild.compile.costs import Cost, CostBook, estimate, longest_first, shard
from prebuild.compile.units import Unit
from tests.unit.prebuild.samples import kimi_plan, units


def unit(name: str) -> Unit:
    path = Path(name)
    return Unit(
        id=name, kind="kernel", source=path, include=(), flags=(), sources={}, key=name, object=path
    )


def book(tmp_path: Path, seconds: dict[str, float]) -> CostBook:
    made = CostBook(tmp_path / "costs.json")
    made.record({name: Cost(seconds=value, peak_bytes=1) for name, value in seconds.items()})
    return CostBook(tmp_path / "costs.json")


def test_the_longest_goes_first(tmp_path: Path) -> None:
    costs = book(tmp_path, {"a": 1, "b": 30, "c": 20})
    ordered = longest_first([unit(name) for name in "abc"], costs)
    assert [item.id for item in ordered] == ["b", "c", "a"]


def test_kernels_never_compiled_go_by_what_a_thread_accumulates(tmp_path: Path) -> None:
    small, large = unit("a"), replace(unit("b"), accumulators=256)
    costs = book(tmp_path, {})
    assert costs.of(small).peak_bytes < costs.of(large).peak_bytes
    assert longest_first([small, large], costs) == [large, small]


def test_planned_kernels_know_what_a_thread_accumulates(tmp_path: Path) -> None:
    plan = kimi_plan(tp=[2, 8], block_m=[128])
    found = {item.id: item.accumulators for item in units(tmp_path, plan) if item.kind == "kernel"}
    by_tile = {name.split("_")[2] + "_" + name.split("_")[3]: n for name, n in found.items()}
    assert by_tile == {
        "gemm1_256x128x128x128": 2 * 128 * 128 // 256,
        "gemm2_256x128x128x128": 128 * 128 // 256,
        "gemm2_64x128x128x128": 128 * 128 // 64,
    }


def test_two_builds_at_a_time_keep_what_both_measured(tmp_path: Path) -> None:
    one, other = (CostBook(tmp_path / "costs.json") for _ in range(2))
    one.record({"a": Cost(seconds=1, peak_bytes=1)})
    other.record({"b": Cost(seconds=2, peak_bytes=1)})
    assert set(CostBook(tmp_path / "costs.json").recorded) == {"a", "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]


def test_a_damaged_book_costs_an_estimate_not_a_build(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"a": 3}', '{"a": {"seconds": 1}}'):
        (tmp_path / "costs.json").write_text(text)
        assert CostBook(tmp_path / "costs.json").of(unit("a")) == estimate(unit("a"))


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
