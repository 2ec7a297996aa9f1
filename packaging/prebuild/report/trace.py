"""A report as a trace for Perfetto (https://ui.perfetto.dev) and Chrome: the trace event format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prebuild.report.model import Report, lanes

_US = 1_000_000


def as_trace(report: Report) -> dict[str, Any]:
    """Return the events: one slice a compile on the track of its lane, the link, memory in use."""
    events = [_name(0, "compile"), *_slices(report), *_memory(report)]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _slices(report: Report) -> Iterator[dict[str, Any]]:
    for lane, row in lanes(report.rows):
        yield {
            "ph": "X",
            "pid": 0,
            "tid": lane,
            "name": row.unit,
            "cat": row.kind,
            "ts": round((row.start or 0.0) * _US),
            "dur": round(row.seconds * _US),
            "args": {"cpu_seconds": row.cpu_seconds, "peak_bytes": row.peak_bytes},
        }
    if report.link_seconds:
        yield {
            "ph": "X",
            "pid": 0,
            "tid": 0,
            "name": "link",
            "cat": "link",
            "ts": round(max((row.end or 0.0 for row in report.rows), default=0.0) * _US),
            "dur": round(report.link_seconds * _US),
            "args": {"modules": [module.name for module in report.modules]},
        }


def _memory(report: Report) -> Iterator[dict[str, Any]]:
    """The sum of the peaks of what runs at a time: an upper bound of the memory in use."""
    steps: list[tuple[float, int]] = []
    for row in report.rows:
        if row.start is not None and row.end is not None and row.peak_bytes:
            steps += [(row.start, row.peak_bytes), (row.end, -row.peak_bytes)]
    total = 0
    for at, change in sorted(steps):
        total += change
        yield {
            "ph": "C",
            "pid": 0,
            "name": "peak memory, bytes",
            "ts": round(at * _US),
            "args": {"bytes": total},
        }


def _name(pid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
