"""Plain tables for a terminal or a log."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

_LOG_COLUMNS = 120
"""Of a pipe or a file, which has no width of its own."""
_NARROWEST = 24
"""Columns that the last cell gets at least, however wide the others are."""


def table(head: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> str:
    """Return aligned columns; the last one is broken between words where a line is full."""
    text = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(head) - 1)]
    taken = len(indent) + sum(width + 2 for width in widths)
    lines = []
    for row in text:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        first, *more = wrapped(row[-1], taken) or [""]
        lines.append(indent + "  ".join([*cells, first]).rstrip())
        lines += [" " * taken + line for line in more]
    return "\n".join(lines)


def wrapped(text: str, taken: int = 0) -> list[str]:
    """Break ``text`` between words at the terminal's width less ``taken`` columns."""
    columns = shutil.get_terminal_size((_LOG_COLUMNS, 0)).columns
    width = max(columns - taken, _NARROWEST)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def size(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count} B"  # noqa: PLR2004
