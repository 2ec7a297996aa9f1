from __future__ import annotations

from dataclasses import replace

from prebuild.report.compare import as_json, compare
from prebuild.report.model import make_report
from tests.unit.prebuild.report.samples import COSTS, EDGES, LONG, REGISTERS, record, report


def test_changes_stand_largest_first_with_their_ratio() -> None:
    costs = COSTS | {LONG: {"cpu_seconds": 14.5, "peak_bytes": 1}}
    found = compare(report(), make_report(record(), EDGES, costs, {}))
    assert found.changes[0].unit == LONG
    assert found.changes[0].cpu_ratio == 0.5
    assert (found.cpu_before, found.cpu_after) == (51.5, 37.0)
    assert found.registers == ()


def test_moved_registers_and_units_of_one_side_are_named() -> None:
    other = record(units=record().units[:2])
    after = make_report(other, EDGES, COSTS, {LONG: replace(REGISTERS, vgpr_spills=0)})
    found = compare(report(), after)
    assert found.registers == (f"{LONG}: vgpr_spills 42 -> 0",)
    assert found.only_before == ("binding", "launch")
    assert found.only_after == ()
    assert as_json(found)["critical_before"] == 30.5
