"""A report as a value: what is computed once and shown as a table, JSON, HTML or a trace."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prebuild.report.ninja_log import Edge
from prebuild.report.record import BuildRecord, ModuleRecord

SCHEMA = 3


@dataclass(frozen=True, kw_only=True)
class Registers:
    """Resources of a kernel as its code object states them; memory in bytes."""

    vgprs: int
    agprs: int
    sgprs: int
    vgpr_spills: int
    sgpr_spills: int
    lds_bytes: int
    scratch_bytes: int
    code_bytes: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One unit of the build; times are None for a unit that came from the cache."""

    unit: str
    kind: str
    cached: bool
    start: float | None = None
    """Seconds since the compile step began."""
    end: float | None = None
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    registers: Registers | None = None
    known_seconds: float | None = None
    """Wall seconds of its last compile, in whatever build; None where nobody noted them."""

    @property
    def seconds(self) -> float:
        """Wall seconds; 0 for a unit from the cache."""
        return 0.0 if self.start is None or self.end is None else self.end - self.start

    @property
    def last_seconds(self) -> float | None:
        """Wall seconds of this build's compile, else of the last one; None where unknown."""
        return self.known_seconds if self.cached else self.seconds


@dataclass(frozen=True, kw_only=True)
class Report:
    """One build."""

    rows: tuple[Row, ...]
    """Longest first; units from the cache last, by name."""
    made: str
    commit: str
    compiler: str
    jobs: int
    launcher: str | None
    compile_seconds: float
    link_seconds: float
    modules: tuple[ModuleRecord, ...]

    @property
    def recipes(self) -> tuple[str, ...]:
        """Recipes that the modules were made for."""
        return tuple(sorted({recipe for module in self.modules for recipe in module.recipes}))

    @property
    def saved_seconds(self) -> float:
        """Wall seconds that the last compiles of what came from the cache took."""
        return sum(row.known_seconds or 0.0 for row in self.rows if row.cached)

    @property
    def kernels(self) -> tuple[Row, ...]:
        """Rows of kernels by name, so that those of an instance stand together."""
        return tuple(sorted((r for r in self.rows if r.kind == "kernel"), key=lambda row: row.unit))

    def rows_of(self, module: ModuleRecord) -> tuple[Row, ...]:
        """Rows of a module's kernels; those that it shares with another one are among them."""
        own = set(module.kernels)
        return tuple(row for row in self.kernels if row.unit in own)

    @property
    def compiled(self) -> tuple[Row, ...]:
        """Rows of what was compiled."""
        return tuple(row for row in self.rows if not row.cached)

    @property
    def hits(self) -> int:
        """Units from the object cache."""
        return len(self.rows) - len(self.compiled)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all compiles."""
        return sum(row.cpu_seconds or 0.0 for row in self.compiled)

    @property
    def peak_bytes(self) -> int:
        """Peak memory of the largest compile."""
        return max((row.peak_bytes or 0 for row in self.compiled), default=0)

    @property
    def critical_seconds(self) -> float:
        """The longest path: compiles do not wait for each other, the link waits for all."""
        return max((row.seconds for row in self.compiled), default=0.0) + self.link_seconds


def make_report(
    record: BuildRecord,
    edges: Sequence[Edge],
    costs: Mapping[str, Mapping[str, float]],
    registers: Mapping[str, Registers],
    known: Mapping[str, float] | None = None,
) -> Report:
    """Join the record of a build with its edges, its costs by unit id and its kernels' registers.

    An edge belongs to a unit by its output, which is the unit's object.  ``known`` has the wall
    seconds of units' last compiles, in other builds as well.
    """
    by_output = {edge.output: edge for edge in edges}
    rows = []
    for unit in record.units:
        edge = None if unit.cached else by_output.get(unit.object)
        cost = costs.get(unit.id, {}) if edge else {}
        rows.append(
            Row(
                unit=unit.id,
                kind=unit.kind,
                cached=unit.cached,
                start=edge.start if edge else None,
                end=edge.end if edge else None,
                cpu_seconds=cost.get("cpu_seconds"),
                peak_bytes=int(cost["peak_bytes"]) if "peak_bytes" in cost else None,
                registers=registers.get(unit.id),
                known_seconds=(known or {}).get(unit.id),
            )
        )
    return Report(
        rows=tuple(sorted(rows, key=lambda row: (row.cached, -row.seconds, row.unit))),
        made=record.made,
        commit=record.commit,
        compiler=record.compiler,
        jobs=record.jobs,
        launcher=record.launcher,
        compile_seconds=record.compile_seconds,
        link_seconds=record.link_seconds,
        modules=record.modules,
    )


@dataclass(frozen=True, kw_only=True)
class Total:
    """What some kernels take together, at most, and how many of them spill."""

    seconds: float
    """Wall seconds, of this build or of the last one that compiled them."""
    vgprs: int
    spilling: int
    lds_bytes: int
    scratch_bytes: int
    code_bytes: int


def total(rows: Sequence[Row]) -> Total:
    """Add up the kernels of a module or an instance."""
    found = [row.registers for row in rows if row.registers is not None]
    return Total(
        seconds=round(sum(row.last_seconds or 0.0 for row in rows), 3),
        vgprs=max((item.vgprs for item in found), default=0),
        spilling=sum(item.vgpr_spills + item.sgpr_spills > 0 for item in found),
        lds_bytes=max((item.lds_bytes for item in found), default=0),
        scratch_bytes=max((item.scratch_bytes for item in found), default=0),
        code_bytes=sum(item.code_bytes for item in found),
    )


def lanes(rows: Sequence[Row]) -> list[tuple[int, Row]]:
    """Give each compiled row a lane so that no two of a lane overlap, and use few lanes."""
    free: list[tuple[float, int]] = []  # (when it is free, lane)
    placed = []
    timed = [(row.start, row.end, row) for row in rows if row.start is not None]
    for start, end, row in sorted(timed, key=lambda item: (item[0], -(item[1] or 0.0))):
        if free and free[0][0] <= start:
            _, lane = heapq.heappop(free)
        else:
            lane = len(free)
        heapq.heappush(free, (end or start, lane))
        placed.append((lane, row))
    return placed


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values; ``schema`` rises when a reader would have to change."""
    return {
        "schema": SCHEMA,
        "summary": {
            "made": report.made,
            "commit": report.commit,
            "compiler": report.compiler,
            "recipes": list(report.recipes),
            "units": len(report.rows),
            "compiled": len(report.compiled),
            "cache_hits": report.hits,
            "jobs": report.jobs,
            "launcher": report.launcher,
            "compile_seconds": report.compile_seconds,
            "link_seconds": report.link_seconds,
            "cpu_seconds": round(report.cpu_seconds, 3),
            "critical_path_seconds": round(report.critical_seconds, 3),
            "peak_bytes": report.peak_bytes,
        },
        "modules": [_module_json(report, module) for module in report.modules],
        "edges": [_row_json(row) for row in report.rows],
    }


def _module_json(report: Report, module: ModuleRecord) -> dict[str, Any]:
    return {**asdict(module), **asdict(total(report.rows_of(module)))}


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "unit": row.unit,
        "kind": row.kind,
        "cached": row.cached,
        "start_s": row.start,
        "end_s": row.end,
        "duration_s": round(row.seconds, 3),
        "known_s": row.known_seconds,
        "cpu_s": row.cpu_seconds,
        "peak_bytes": row.peak_bytes,
        "registers": vars(row.registers) if row.registers else None,
    }
