"""A report as one HTML file that needs nothing else: a timeline in SVG and the table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from aiter_prebuilt.choice.dispatch import short_name
from prebuild.report.model import Report, Row, lanes
from prebuild.report.table import (
    KERNEL_COLUMNS,
    MODULE_COLUMNS,
    UNIT_COLUMNS,
    cells,
    kernel_cells,
    module_cells,
    summary,
    two_lines,
)

_LANE = 34  # pixels from one lane to the next
_BAR = 28
_WIDTH = 1000  # of the drawing, in its own units; the page scales it
_TICKS = 8
_LETTER = 7.0  # mean width of a letter of a label


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One compile in the drawing; lengths in its own units."""

    x: float
    y: int
    width: float
    kind: str
    label: str
    tip: str


def as_html(report: Report) -> str:
    """Return the page."""
    text = files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(  # names are escaped
        undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    environment.filters["two_lines"] = two_lines
    span = max((row.end or 0.0 for row in report.rows), default=0.0) + report.link_seconds
    placed = lanes(report.rows)
    count = max((lane for lane, _ in placed), default=-1) + 1
    bars = [_bar(lane, row, span) for lane, row in placed]
    return environment.from_string(text).render(
        title=f"Build of {report.made} UTC",
        summary=summary(report),
        bars=[*bars, *_link(report, span)] if bars else [],
        ticks=[(at, at / span * _WIDTH) for at in ticks(span)],
        lanes=count,
        width=_WIDTH,
        height=count * _LANE,
        lane=_LANE,
        bar=_BAR,
        module_columns=MODULE_COLUMNS,
        modules=module_cells(report),
        kernel_columns=KERNEL_COLUMNS,
        kernels=[(row, kernel_cells(row), share(row, report)) for row in report.kernels],
        saved=report.saved_seconds,
        unit_columns=UNIT_COLUMNS,
        rows=[(row, cells(row), share(row, report)) for row in report.rows],
    )


def ticks(span: float) -> list[float]:
    """Round marks for an axis of ``span`` seconds, at most about eight."""
    if span <= 0:
        return []
    rough = span / _TICKS
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(base * factor for factor in (1, 2, 5, 10) if base * factor >= rough)
    return [round(step * index, 6) for index in range(int(span / step) + 1)]


def share(row: Row, report: Report) -> float:
    """A row's last compile as a part of the longest one, in per cent."""
    longest = max((other.last_seconds or 0.0 for other in report.rows), default=0.0)
    return 100 * (row.last_seconds or 0.0) / longest if longest else 0.0


def _bar(lane: int, row: Row, span: float) -> Bar:
    width = max(row.seconds / span * _WIDTH, 1.0)
    peak = "" if row.peak_bytes is None else f", peak {row.peak_bytes >> 20} MiB"
    cpu = "" if row.cpu_seconds is None else f", {row.cpu_seconds:.1f} CPU s"
    return Bar(
        x=(row.start or 0.0) / span * _WIDTH,
        y=lane * _LANE,
        width=width,
        kind=row.kind,
        label=_fit(short_name(row.unit), width),
        tip=f"{row.unit}: {row.seconds:.1f} s{cpu}{peak}",
    )


def _link(report: Report, span: float) -> list[Bar]:
    if not report.link_seconds or not span:
        return []
    start = span - report.link_seconds
    return [
        Bar(
            x=start / span * _WIDTH,
            y=0,
            width=max(report.link_seconds / span * _WIDTH, 1.0),
            kind="link",
            label="",
            tip=f"link: {report.link_seconds:.1f} s",
        )
    ]


def _fit(text: str, width: float) -> str:
    """As much of a label as its bar has room for; its end tells more than its beginning."""
    room = int((width - 8) / _LETTER)
    if room >= len(text):
        return text
    return text[: room - 1] + "…" if room > len("gemm1") else ""
