"""Reading of deb822 paragraphs, the form of ``.sources`` files and of apt's package records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Yield each paragraph as a mapping from lower-case field name to value.

    Comment lines are dropped wherever they stand; continuation lines are joined by a newline.
    """
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for filled, group in groupby(lines, key=lambda line: bool(line.strip())):
        if filled:
            yield _fields(group)


def _fields(lines: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[0] in " \t":
            if name:
                fields[name] += "\n" + line.strip()
        elif ":" in line:
            head, _, value = line.partition(":")
            name = head.strip().lower()
            fields[name] = value.strip()
    return fields
