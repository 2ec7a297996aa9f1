"""The second reproduction: a cold build, and its slowest edges from ``.ninja_log``."""

from __future__ import annotations

from typing import Any

from prebuild.report import ninja_log
from prebuild.report.model import Report

SCHEMA = 1


def as_json(
    report: Report, edges: tuple[ninja_log.Edge, ...], *, elapsed: float, top: int
) -> dict[str, Any]:
    """Return what the issue's script prints, with each object's unit in place of its file name.

    ``elapsed`` is the whole build's wall seconds, link and inspection included.
    """
    rows = [row for row in report.compiled if row.start is not None]
    return {
        "schema": SCHEMA,
        "build_elapsed_s": round(elapsed, 3),
        "ninja_critical_edge_s": max((edge.end for edge in edges), default=0.0),
        "cpu_s": round(report.cpu_seconds, 3),
        "entries": len(edges),
        "top": [
            {
                "duration_s": round(row.seconds, 3),
                "start_s": row.start,
                "end_s": row.end,
                "out": f"{row.unit}{'.co' if row.kind == 'kernel' else '.o'}",
            }
            for row in rows[:top]
        ],
    }
