from __future__ import annotations

import json

from prebuild.report.trace import as_trace
from tests.unit.prebuild.report.samples import LONG, SHORT, report


def test_slices_are_in_microseconds_on_lanes_of_their_own() -> None:
    events = json.loads(json.dumps(as_trace(report())))["traceEvents"]
    slices = {event["name"]: event for event in events if event["ph"] == "X"}
    assert (slices[LONG]["ts"], slices[LONG]["dur"]) == (0, 30_000_000)
    assert slices[LONG]["tid"] != slices[SHORT]["tid"]
    assert slices["launch"]["tid"] == slices[SHORT]["tid"]
    assert slices["link"]["ts"] == 30_000_000


def test_memory_is_the_sum_of_what_runs_and_ends_at_zero() -> None:
    events = as_trace(report())["traceEvents"]
    steps = [event["args"]["bytes"] for event in events if event["ph"] == "C"]
    assert max(steps) == 1500 << 20
    assert steps[-1] == 0
