"""Read whole tables: every row becomes a value or a clear line, none is lost.

What a row is, :mod:`aiter_prebuilt.choice.tuned` says, which reads them on a user's machine, too.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiter_prebuilt.choice.tuned import REQUIRED, TUNED_ONLY, Row, RowError, parse
from prebuild.core.errors import ProblemsError, why


class TableError(ProblemsError):
    """Tables that cannot be read at all: no such file, no header, columns missing."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row and where it is from."""

    row: Row
    kind: Literal["tuned", "untuned"]
    where: str
    """``table.csv:12``."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """All rows of some files: ``len(entries) + len(repeated) + len(bad)`` is their number."""

    entries: tuple[Entry, ...]
    repeated: tuple[str, ...]
    """A line for each row whose key an earlier row of its file has; AITER keeps the first."""
    bad: tuple[str, ...]
    """A line for each row that cannot be understood."""


def read_tables(paths: Sequence[Path]) -> Table:
    """Read tuned and untuned tables.

    Raises :class:`TableError` with every file that cannot be read and every missing column.
    """
    entries: list[Entry] = []
    repeated: list[str] = []
    bad: list[str] = []
    problems: list[str] = []
    for path in paths:
        try:
            header, lines = _lines(path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            problems.append(f"{path}: cannot be read: {why(error)}")
            continue
        missing = _missing_columns(header)
        if missing:
            problems.append(f"{path}: no column {', '.join(missing)}; found {', '.join(header)}")
            continue
        _read_rows(path.name, header, lines, entries, repeated, bad)
    if problems:
        raise TableError("tables of tuned MoE kernels cannot be used:", problems)
    return Table(entries=tuple(entries), repeated=tuple(repeated), bad=tuple(bad))


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        return header, [(reader.line_num, line) for line in reader if any(map(str.strip, line))]


def _missing_columns(header: Iterable[str]) -> list[str]:
    """Columns that a table lacks; one without any tuned column is an untuned one and needs none."""
    present = set(header)
    tuned = present & {"block_m", "kernelName1", "kernelName2", "_tag"}
    return [name for name in (*REQUIRED, *(TUNED_ONLY if tuned else ())) if name not in present]


def _read_rows(
    file: str,
    header: Sequence[str],
    lines: Iterable[tuple[int, list[str]]],
    entries: list[Entry],
    repeated: list[str],
    bad: list[str],
) -> None:
    kind: Literal["tuned", "untuned"] = "tuned" if "kernelName1" in header else "untuned"
    first: dict[tuple[Any, ...], str] = {}
    for number, line in lines:
        where = f"{file}:{number}"
        if len(line) > len(header):
            bad.append(f"{where}: {len(line)} values, the header has {len(header)}")
            continue
        try:
            row = parse(_cells(header, line))
        except RowError as error:
            bad.append(f"{where}: {error}")
            continue
        if row.key() in first:
            repeated.append(f"{where}: repeats the key of {first[row.key()]}, which AITER takes")
            continue
        first[row.key()] = where
        entries.append(Entry(row=row, kind=kind, where=where))


def _cells(header: Sequence[str], line: Sequence[str]) -> Mapping[str, str]:
    """Name the cells; a short row has empty ones at its end, as AITER's reader takes it."""
    return dict(itertools.zip_longest(header, line, fillvalue=""))
