from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from prebuild.report.model import Row, as_json, lanes
from tests.unit.prebuild.report.samples import LONG, REGISTERS, SHORT, report


def test_rows_join_edges_costs_and_registers() -> None:
    rows = report().rows
    assert [row.unit for row in rows] == [LONG, SHORT, "launch", "binding"]
    assert (rows[0].seconds, rows[0].cpu_seconds, rows[0].registers) == (30.0, 29.0, REGISTERS)


def test_a_unit_from_the_cache_has_no_times_of_earlier_builds() -> None:
    (row,) = [row for row in report().rows if row.cached]
    assert (row.start, row.cpu_seconds, row.peak_bytes) == (None, None, None)


def test_totals() -> None:
    found = report()
    assert found.hits == 1
    assert found.cpu_seconds == 51.5
    assert found.critical_seconds == 30.5
    assert found.peak_bytes == 900 << 20


def test_json_is_versioned_and_serialisable() -> None:
    found = json.loads(json.dumps(as_json(report())))
    assert found["schema"] == 1
    assert found["summary"]["cache_hits"] == 1
    assert found["summary"]["critical_path_seconds"] == 30.5
    assert found["edges"][0]["registers"]["vgpr_spills"] == 42


spans = st.tuples(st.integers(0, 50), st.integers(1, 20))


@given(st.lists(spans, max_size=30))
def test_lanes_never_overlap_and_are_few(found: list[tuple[int, int]]) -> None:
    rows = [
        Row(unit=str(i), kind="kernel", cached=False, start=float(start), end=float(start + took))
        for i, (start, took) in enumerate(found)
    ]
    placed = lanes(rows)
    assert sorted(row.unit for _, row in placed) == sorted(row.unit for row in rows)
    for lane, row in placed:
        for other_lane, other in placed:
            if lane == other_lane and row is not other:
                assert (row.end or 0) <= (other.start or 0) or (other.end or 0) <= (row.start or 0)
    most = max(
        (sum(s <= at < s + took for s, took in found) for at, _ in found),
        default=0,
    )
    assert len({lane for lane, _ in placed}) == most
