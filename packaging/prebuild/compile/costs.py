"""What each unit cost when it was last compiled: seconds and peak memory, kept in the cache.

Scheduling and sharding read it; a unit that was never compiled is estimated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from prebuild.compile.units import Kind, Unit
from prebuild.core.whole import whole

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Wall seconds and peak resident bytes of one compile."""

    seconds: float
    peak_bytes: int


# (fixed, for each accumulator of a thread): a line through the kernels of all families, with clang
# 22.1.8 and CK 7.2.4 on two cores (seconds correlate by 0.82); memory's lies above most of them.
_KERNEL_SECONDS = (9.0, 0.1)
_KERNEL_BYTES = (700 * MIB, 2.2 * MIB)
_HOST: Mapping[Kind, Cost] = {
    "launcher": Cost(seconds=8.0, peak_bytes=500 * MIB),
    "host": Cost(seconds=1.0, peak_bytes=150 * MIB),
}


def estimate(unit: Unit) -> Cost:
    """The cost of a unit that was never compiled here."""
    if unit.kind != "kernel":
        return _HOST[unit.kind]
    seconds, peak = (
        fixed + each * unit.accumulators for fixed, each in (_KERNEL_SECONDS, _KERNEL_BYTES)
    )
    return Cost(seconds=seconds, peak_bytes=int(peak))


class CostBook:
    """Recorded costs by unit id (not by key: a changed source costs about the same)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._costs = _load(path)

    def of(self, unit: Unit) -> Cost:
        """The recorded cost of a unit, else an estimate."""
        return self._costs.get(unit.id) or estimate(unit)

    @property
    def recorded(self) -> Mapping[str, Cost]:
        """What was measured, by unit id."""
        return self._costs

    def record(self, costs: Mapping[str, Cost]) -> None:
        """Add what was measured to the book, which other builds may have written meanwhile."""
        if not costs:
            return
        self._costs = {**_load(self._path), **costs}
        text = json.dumps({name: asdict(cost) for name, cost in sorted(self._costs.items())})
        with whole(self._path) as scratch:
            scratch.write_text(text)


def longest_first(units: Iterable[Unit], book: CostBook) -> list[Unit]:
    """Order units by falling cost; ties by id, so that the order is the same every time."""
    return sorted(units, key=lambda unit: (-book.of(unit).seconds, unit.id))


def shard(units: Iterable[Unit], book: CostBook, count: int) -> list[list[Unit]]:
    """Split units into ``count`` lists of about equal cost: the longest to the least loaded."""
    loads = [0.0] * count
    shards: list[list[Unit]] = [[] for _ in range(count)]
    for unit in longest_first(units, book):
        position = loads.index(min(loads))
        shards[position].append(unit)
        loads[position] += book.of(unit).seconds
    return shards


def _load(path: Path) -> dict[str, Cost]:
    try:
        raw = json.loads(path.read_text())
        return {name: Cost(**cost) for name, cost in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a book that cannot be read costs an estimate, not a build
