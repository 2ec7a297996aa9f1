from __future__ import annotations

from prebuild.repro.compile import as_json
from tests.unit.prebuild.report.samples import EDGES, LONG, report


def test_fields_are_those_of_the_issues_script() -> None:
    found = as_json(report(), EDGES[:3], elapsed=35.25, top=2)
    assert found["build_elapsed_s"] == 35.25
    assert found["ninja_critical_edge_s"] == 30.0
    assert found["entries"] == 3
    assert found["top"][0] == {
        "duration_s": 30.0,
        "start_s": 0.0,
        "end_s": 30.0,
        "out": f"{LONG}.co",
    }
    assert len(found["top"]) == 2
