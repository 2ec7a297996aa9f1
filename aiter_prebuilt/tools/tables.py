"""Plain tables for a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> str:
    """Return aligned columns; the last one is not padded, so that long sentences stay whole."""
    text = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(head))]
    lines = []
    for row in text:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append(indent + "  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def size(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count} B"  # noqa: PLR2004
