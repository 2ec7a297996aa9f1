"""Plain tables for a terminal or a log."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TextIO

_LOG_COLUMNS = 120
"""Of a pipe or a file, which has no width of its own."""
_NARROWEST = 32
"""Columns that the last cell gets; where fewer are left beside the others, it goes below them."""
_BELOW = 4
"""Columns by which a cell below the others is indented."""


def table(head: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> str:
    """Return aligned columns; the last one is broken between words where a line is full.

    Where the others leave no room for it, or on a terminal none for its longest word, it stands
    in lines of its own below them.
    """
    text = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(head) - 1)]
    taken = len(indent) + sum(width + 2 for width in widths)
    below = _goes_below([row[-1] for row in text], taken)
    place = len(indent) + _BELOW if below else taken
    lines = []
    for row in text:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        first, *more = ["", *wrapped(row[-1], place)] if below else wrapped(row[-1], place) or [""]
        lines.append(indent + "  ".join([*cells, first]).rstrip())
        lines += [" " * place + line for line in more]
    return "\n".join(lines)


def _goes_below(cells: Sequence[str], taken: int) -> bool:
    room = _columns() - taken
    if taken == 0 or room < _NARROWEST:
        return taken > 0
    longest = max((len(word) for cell in cells for word in cell.split()), default=0)
    return sys.stdout.isatty() and room < longest <= _columns() - _BELOW


def wrapped(text: str, taken: int = 0) -> list[str]:
    """Break ``text`` between words at the terminal's width less ``taken`` columns."""
    width = max(_columns() - taken, _NARROWEST)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def fitted(text: str, out: TextIO) -> str:
    """Break the lines that a terminal would break within a word; in a pipe they stay whole."""
    if not out.isatty():
        return text
    return "\n".join(part for line in text.splitlines() for part in _fitted(line, _columns()))


def _fitted(line: str, columns: int) -> list[str]:
    if len(line) <= columns:
        return [line]
    bare = line.lstrip(" -")
    start = line[: len(line) - len(bare)]
    return textwrap.wrap(
        bare,
        columns,
        initial_indent=start,
        subsequent_indent=" " * min(len(start) or 2, columns // 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _columns() -> int:
    return shutil.get_terminal_size((_LOG_COLUMNS, 0)).columns


def size(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count} B"  # noqa: PLR2004
