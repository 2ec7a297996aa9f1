"""``.ninja_log``: when each edge of the last run began and ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prebuild.core.errors import PrebuildError

_FIELDS = 5  # start ms, end ms, mtime, output, hash of the command
_VERSIONS = ("# ninja log v5", "# ninja log v6", "# ninja log v7")


class NinjaLogError(PrebuildError):
    """A ``.ninja_log`` that cannot be read."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One output; seconds since the start of the ninja run that made it."""

    output: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


def parse(text: str) -> tuple[Edge, ...]:
    """Return one edge an output, the last one written where there are several.

    Raises :class:`NinjaLogError` for a log that is none or has lines that are none.
    """
    first, _, rest = text.partition("\n")
    if first not in _VERSIONS:
        msg = f".ninja_log begins with {first[:40]!r}, expected one of {', '.join(_VERSIONS)}"
        raise NinjaLogError(msg)
    edges = (_edge(line) for line in rest.splitlines() if line)
    return tuple({edge.output: edge for edge in edges}.values())


def read(work: Path) -> tuple[Edge, ...]:
    """Read ``work/.ninja_log``; no edges where nothing was ever compiled there."""
    file = work / ".ninja_log"
    return parse(file.read_text(encoding="utf-8")) if file.is_file() else ()


def _edge(line: str) -> Edge:
    fields = line.split("\t")
    if len(fields) != _FIELDS or not (fields[0].isdigit() and fields[1].isdigit()):
        msg = f".ninja_log has the line {line[:80]!r}, expected {_FIELDS} fields with tabs between"
        raise NinjaLogError(msg)
    return Edge(output=fields[3], start=int(fields[0]) / 1000, end=int(fields[1]) / 1000)
