from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from prebuild.report.model import Row, as_json, lanes, make_report, total
from tests.unit.prebuild.report.samples import (
    COSTS,
    EDGES,
    LONG,
    REGISTERS,
    SHORT,
    record,
    report,
)


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
    assert found["schema"] == 3
    assert found["summary"]["cache_hits"] == 1
    assert found["summary"]["critical_path_seconds"] == 30.5
    assert found["edges"][0]["registers"]["vgpr_spills"] == 42


def test_json_has_a_row_a_module_with_what_its_kernels_take() -> None:
    (module,) = as_json(report())["modules"]
    assert (module["name"], module["coverage"], module["bytes"]) == (
        "module_x__deployed_0", "deployed", 123456,
    )  # fmt: skip
    assert (module["instances"], module["instances_of"], len(module["kernels"])) == (2, 10, 2)
    assert (module["seconds"], module["spilling"], module["vgprs"]) == (50.0, 1, 256)


def test_a_kernel_from_the_cache_keeps_the_seconds_of_its_last_compile() -> None:
    units = tuple(replace(unit, cached=True) for unit in record().units)
    found = make_report(record(units=units), EDGES, COSTS, {}, {LONG: 31.5})
    rows = {row.unit: row for row in found.rows}
    assert (rows[LONG].seconds, rows[LONG].known_seconds) == (0.0, 31.5)
    assert rows[SHORT].known_seconds is None
    assert total(found.rows_of(found.modules[0])).seconds == 31.5
    assert found.cpu_seconds == 0


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
