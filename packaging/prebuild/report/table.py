"""A report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aiter_prebuilt.choice.dispatch import PREFIX, short_name
from prebuild.report.compare import Comparison
from prebuild.report.model import Report, Row, total

_MIB = 1 << 20
_KIB = 1 << 10
MODULE_COLUMNS = (
    "coverage", "instances", "kernels", "bytes", "wall s", "spilling", "module", "recipes",
)  # fmt: skip
UNIT_COLUMNS = ("unit", "wall s", "CPU s", "peak MiB", "VGPRs", "spilled", "LDS KiB")
KERNEL_COLUMNS = (
    "kernel", "wall s", "VGPR", "AGPR", "SGPR", "vspill", "sspill", "LDS K", "scratch", "code K",
)  # fmt: skip
"""Short heads: the table fits 80 columns.  LDS and code in KiB, scratch in bytes a work-item."""
_BYTES_WIDTH = len("99,999,999")


def as_table(report: Report, *, top: int) -> RenderableType:
    """Return the summary, the modules and the ``top`` slowest compiles."""
    units = _names_last(UNIT_COLUMNS)
    for row in report.rows[:top]:
        name, *figures = cells(row)
        units.add_row(*figures, name)
    lines = [Text(line) for line in summary(report)]
    rest = len(report.rows) - top
    more = [Text(f"... and {rest} more")] if rest > 0 else []
    return Group(*lines, Text(""), *_modules(report), units, *more)


def as_kernels(report: Report) -> RenderableType:
    """Return every kernel of the build, below the full name of its instance."""
    parts: list[RenderableType] = []
    for instance, rows in groupby(report.kernels, key=lambda row: row.unit.partition(".")[0]):
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(KERNEL_COLUMNS[0], no_wrap=True, min_width=len("nomain_even"))
        _add_figures(table, KERNEL_COLUMNS[1:])
        for row in rows:
            table.add_row(row.unit.partition(".")[2], *kernel_cells(row)[1:])
        parts += [Text(""), Text(instance), table]
    return Group(*parts)


def label(unit: str) -> str:
    """A unit's name with all that tells units of a build with several families apart."""
    stem, dot, variant = unit.removeprefix(PREFIX).partition(".")
    parts = stem.split("_")
    if not unit.startswith(PREFIX) or len(parts) < len(("gemm1", "tile", "waves", "op", "v3")):
        return short_name(unit)
    # Of the element operation this alone tells two kernels apart: MXFP4 weights as they are or not.
    shuffled = ["shuffled"] if parts[3].endswith("Shuffled") else []
    kept = [*parts[:3], *shuffled, *(part for part in parts[4:] if part != "Nswizzle0")]
    text = "_".join(kept).replace("MulRoutedWeight", "mul").replace("Quant", "q")
    return f"{text}{dot}{variant}"


def two_lines(name: str) -> tuple[str, str]:
    """Break a kernel's label behind its tile and waves: a narrow screen shows it whole."""
    parts = name.split("_")
    first = "_".join(parts[:3])
    return (first, "_".join(parts[3:])) if name.startswith("gemm") else (name, "")


def _modules(report: Report) -> Iterator[RenderableType]:
    """A line of figures a module, its long name and its recipes below: nothing is cut or folded."""
    for position, (*figures, name, recipes) in enumerate(module_cells(report)):
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=position == 0)
        _add_figures(table, MODULE_COLUMNS[:-2])
        table.columns[MODULE_COLUMNS.index("bytes")].min_width = _BYTES_WIDTH
        table.add_row(*figures)
        yield from (table, Text(f"  {name}"), Text(f"  {recipes}"))
    if report.modules:
        yield Text("")


def _names_last(columns: Sequence[str]) -> Table:
    """The first column, names, stands last: where the terminal is narrow, it folds and no other."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    _add_figures(table, columns[1:])
    table.add_column(columns[0], overflow="fold")
    return table


def _add_figures(table: Table, names: Sequence[str]) -> None:
    for name in names:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))


def summary(report: Report) -> list[str]:
    """Return what matters of a build, line by line."""
    compiled = report.compiled
    lines = [
        f"recipes {', '.join(report.recipes) or 'none'}",
        f"{report.compiler}, commit {report.commit}",
        f"{len(report.rows)} units: {len(compiled)} compiled, {report.hits} from the object cache",
        f"compile step {report.compile_seconds:.1f} s with {report.jobs} jobs"
        + (f" through {report.launcher}" if report.launcher else "")
        + f", link {report.link_seconds:.1f} s, {report.cpu_seconds:.1f} CPU s",
    ]
    if compiled:
        longest = compiled[0]
        lines.append(
            f"critical path {report.critical_seconds:.1f} s: {label(longest.unit)} "
            f"{longest.seconds:.1f} s, then the link"
        )
        lines.append(f"largest compile {report.peak_bytes / _MIB:.0f} MiB")
    if report.hits:
        lines.append(
            f"the object cache saved {report.saved_seconds:.0f} s of compiling, one by one"
        )
    return lines


def cells(row: Row) -> list[str]:
    """Return one row's cells as texts."""
    found = row.registers
    return [
        label(row.unit),
        "cache" if row.cached else f"{row.seconds:.1f}",
        "" if row.cpu_seconds is None else f"{row.cpu_seconds:.1f}",
        "" if row.peak_bytes is None else f"{row.peak_bytes / _MIB:.0f}",
        "" if found is None else str(found.vgprs),
        "" if found is None else str(found.vgpr_spills + found.sgpr_spills),
        "" if found is None else f"{found.lds_bytes / _KIB:.0f}",
    ]


def module_cells(report: Report) -> list[list[str]]:
    """Return a row of texts for each module."""
    found = []
    for module in report.modules:
        rows = report.rows_of(module)
        sums = total(rows)
        found.append(
            [
                module.coverage,
                f"{module.instances} of {module.instances_of}",
                str(len(module.kernels)),
                f"{module.bytes:,}",
                f"{sums.seconds:.0f}",
                str(sums.spilling) if any(row.registers for row in rows) else "",
                module.name.removeprefix("module_moe_ck2stages_"),
                ", ".join(module.recipes),
            ]
        )
    return found


def kernel_cells(row: Row) -> list[str]:
    """Return a kernel's resources as texts; what is not known is empty."""
    seconds = row.last_seconds
    head = [label(row.unit), "" if seconds is None else f"{seconds:.1f}"]
    found = row.registers
    if found is None:
        return [*head, *("" for _ in KERNEL_COLUMNS[len(head) :])]
    return [
        *head,
        str(found.vgprs),
        str(found.agprs),
        str(found.sgprs),
        str(found.vgpr_spills),
        str(found.sgpr_spills),
        f"{found.lds_bytes / _KIB:.0f}",
        str(found.scratch_bytes),
        f"{found.code_bytes / _KIB:.0f}",
    ]


def as_comparison(found: Comparison, *, top: int) -> RenderableType:
    """Return two builds side by side."""
    table = _names_last(("unit", "CPU s before", "after", "ratio"))
    for change in found.changes[:top]:
        table.add_row(
            f"{change.cpu_before:.1f}",
            f"{change.cpu_after:.1f}",
            f"{change.cpu_ratio:.2f}",
            label(change.unit),
        )
    lines = [
        f"CPU {found.cpu_before:.1f} s -> {found.cpu_after:.1f} s",
        f"critical path {found.critical_before:.1f} s -> {found.critical_after:.1f} s",
        *(f"only before: {label(unit)}" for unit in found.only_before),
        *(f"only after: {label(unit)}" for unit in found.only_after),
        *(f"moved: {line}" for line in found.registers),
    ]
    return Group(*(Text(line) for line in lines), Text(""), table)
