"""Two builds side by side: what each unit cost, and whether its registers moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from prebuild.report.model import Report, Row


@dataclass(frozen=True, kw_only=True)
class Change:
    """A unit that both builds compiled; CPU seconds, wall seconds."""

    unit: str
    cpu_before: float
    cpu_after: float
    seconds_before: float
    seconds_after: float

    @property
    def cpu_ratio(self) -> float:
        """After by before."""
        return self.cpu_after / self.cpu_before


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``after`` is the build that is looked at, ``before`` the one it is compared with."""

    changes: tuple[Change, ...]
    """Largest difference of CPU seconds first."""
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    registers: tuple[str, ...]
    """One line a figure of a kernel that moved."""
    cpu_before: float
    cpu_after: float
    critical_before: float
    critical_after: float


def compare(before: Report, after: Report) -> Comparison:
    """Join two reports by unit."""
    old = {row.unit: row for row in before.rows}
    new = {row.unit: row for row in after.rows}
    both = [(old[unit], new[unit]) for unit in old if unit in new]
    changes = [_change(a, b) for a, b in both if a.cpu_seconds and b.cpu_seconds]
    return Comparison(
        changes=tuple(sorted(changes, key=lambda c: -abs(c.cpu_after - c.cpu_before))),
        only_before=tuple(sorted(old.keys() - new.keys())),
        only_after=tuple(sorted(new.keys() - old.keys())),
        registers=tuple(line for a, b in both for line in _moved(a, b)),
        cpu_before=before.cpu_seconds,
        cpu_after=after.cpu_seconds,
        critical_before=before.critical_seconds,
        critical_after=after.critical_seconds,
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return JSON values; part of the report's schema."""
    return asdict(comparison)


def _change(before: Row, after: Row) -> Change:
    return Change(
        unit=after.unit,
        cpu_before=before.cpu_seconds or 0.0,
        cpu_after=after.cpu_seconds or 0.0,
        seconds_before=before.seconds,
        seconds_after=after.seconds,
    )


def _moved(before: Row, after: Row) -> Iterator[str]:
    if before.registers is None or after.registers is None:
        return
    old, new = asdict(before.registers), asdict(after.registers)
    for name, value in old.items():
        if new[name] != value:
            yield f"{after.unit}: {name} {value} -> {new[name]}"
