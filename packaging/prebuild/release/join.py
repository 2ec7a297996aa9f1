"""Bring together what the shards of a build compiled, each on a machine of its own.

A shard's part is a folder with ``objects/`` (content-addressed, so that parts cannot contradict
each other) and ``costs.json``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from prebuild.compile.costs import Cost, CostBook
from prebuild.core.errors import ProblemsError
from prebuild.core.whole import whole


class JoinError(ProblemsError):
    """Parts of a build are missing or unreadable."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What came together."""

    parts: int
    objects: int
    """Those that the cache did not have."""
    costs: int


def join(folder: Path, cache: Path) -> Joined:
    """Move the parts below ``folder`` into ``cache``; raises :class:`JoinError`."""
    parts = sorted(path.parent for path in folder.glob("*/objects"))
    if not parts:
        raise JoinError(f"{folder} holds no parts:", ["expected are folders with objects/ in them"])
    costs: dict[str, Cost] = {}
    problems: list[str] = []
    objects = 0
    for part in parts:
        objects += _take_objects(part / "objects", cache / "objects")
        try:
            costs |= _read_costs(part / "costs.json")
        except (OSError, ValueError, TypeError) as error:
            problems.append(f"{part / 'costs.json'}: {error}")
    if problems:
        raise JoinError("costs of some parts cannot be read:", problems)
    CostBook(cache / "costs.json").record(costs)
    return Joined(parts=len(parts), objects=objects, costs=len(costs))


def _take_objects(source: Path, target: Path) -> int:
    taken = 0
    for path in sorted(source.glob("*/*")):
        place = target / path.parent.name / path.name
        if not place.exists():
            with whole(place) as scratch:  # a move across file systems can leave half a file
                shutil.copyfile(path, scratch)
            path.unlink()
            taken += 1
    return taken


def _read_costs(path: Path) -> dict[str, Cost]:
    if not path.exists():
        return {}  # a part whose units were all in the cache
    raw = json.loads(path.read_text(encoding="utf-8"))
    return {name: Cost(**cost) for name, cost in raw.items()}
