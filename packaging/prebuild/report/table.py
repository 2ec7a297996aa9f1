"""A report as tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prebuild.console import short
from prebuild.report.compare import Comparison
from prebuild.report.model import Report, Row

_MIB = 1 << 20


def as_table(report: Report, *, top: int) -> RenderableType:
    """Return the summary and the ``top`` slowest compiles."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("unit", no_wrap=True, overflow="ellipsis")
    for name in ("wall s", "CPU s", "peak MiB", "VGPRs", "spilled", "LDS KiB"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for row in report.rows[:top]:
        table.add_row(*cells(row))
    lines = [Text(line) for line in summary(report)]
    rest = len(report.rows) - top
    more = [Text(f"... and {rest} more")] if rest > 0 else []
    return Group(*lines, Text(""), table, *more)


def summary(report: Report) -> list[str]:
    """Return what matters of a build, line by line."""
    compiled = report.compiled
    lines = [
        f"{len(report.rows)} units: {len(compiled)} compiled, {report.hits} from the object cache",
        f"compile step {report.compile_seconds:.1f} s with {report.jobs} jobs"
        + (f" through {report.launcher}" if report.launcher else "")
        + f", link {report.link_seconds:.1f} s, {report.cpu_seconds:.1f} CPU s",
    ]
    if compiled:
        longest = compiled[0]
        lines.append(
            f"critical path {report.critical_seconds:.1f} s: {short(longest.unit)} "
            f"{longest.seconds:.1f} s, then the link"
        )
        lines.append(f"largest compile {report.peak_bytes / _MIB:.0f} MiB")
    return lines


def cells(row: Row) -> list[str]:
    """Return one row's cells as texts."""
    found = row.registers
    return [
        short(row.unit),
        "cache" if row.cached else f"{row.seconds:.1f}",
        "" if row.cpu_seconds is None else f"{row.cpu_seconds:.1f}",
        "" if row.peak_bytes is None else f"{row.peak_bytes / _MIB:.0f}",
        "" if found is None else str(found.vgprs),
        "" if found is None else str(found.vgpr_spills + found.sgpr_spills),
        "" if found is None else f"{found.lds_bytes / 1024:.0f}",
    ]


def as_comparison(found: Comparison, *, top: int) -> RenderableType:
    """Return two builds side by side."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("unit", no_wrap=True, overflow="ellipsis")
    for name in ("CPU s before", "after", "ratio"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for change in found.changes[:top]:
        table.add_row(
            short(change.unit),
            f"{change.cpu_before:.1f}",
            f"{change.cpu_after:.1f}",
            f"{change.cpu_ratio:.2f}",
        )
    lines = [
        f"CPU {found.cpu_before:.1f} s -> {found.cpu_after:.1f} s",
        f"critical path {found.critical_before:.1f} s -> {found.critical_after:.1f} s",
        *(f"only before: {short(unit)}" for unit in found.only_before),
        *(f"only after: {short(unit)}" for unit in found.only_after),
        *(f"moved: {line}" for line in found.registers),
    ]
    return Group(*(Text(line) for line in lines), Text(""), table)
