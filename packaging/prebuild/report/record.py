"""The note that a build leaves in its work folder: which units it had, and which it compiled.

``.ninja_log`` knows edges only; a unit that came from the object cache has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prebuild.core.errors import PrebuildError, why

SCHEMA = 3
FILE = "build.json"


class RecordError(PrebuildError):
    """A work folder holds no build, or one of another version."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class UnitRecord:
    """One translation unit of the build."""

    id: str
    kind: str
    key: str
    object: str
    cached: bool
    """Whether its object was there before."""


@dataclass(frozen=True, kw_only=True)
class ModuleRecord:
    """One module that was linked."""

    name: str
    coverage: str
    recipes: tuple[str, ...]
    instances: int
    """Of those that AITER's module has, in the next field."""
    instances_of: int
    kernels: tuple[str, ...]
    """Ids of its kernels' units."""
    bytes: int


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """One build; seconds are of the wall clock."""

    made: str
    """When it ended, in UTC: ``2026-11-26 08:00``."""
    commit: str
    """Of the sources; ends in ``-dirty`` where they have uncommitted changes."""
    compiler: str
    jobs: int
    launcher: str | None
    compile_seconds: float
    link_seconds: float
    units: tuple[UnitRecord, ...]
    modules: tuple[ModuleRecord, ...]

    @property
    def cached(self) -> tuple[UnitRecord, ...]:
        """Units that came from the object cache."""
        return tuple(unit for unit in self.units if unit.cached)


def write(record: BuildRecord, work: Path) -> None:
    """Write ``work/build.json``."""
    text = json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1)
    (work / FILE).write_text(text + "\n", encoding="utf-8")


def read(work: Path) -> BuildRecord:
    """Read ``work/build.json``; raises :class:`RecordError` where there is none that fits."""
    file = work / FILE
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{file} cannot be read ({why(error)}); run `prebuild build --work {work}` first"
        raise RecordError(msg) from error
    if not isinstance(raw, dict) or raw.pop("schema", None) != SCHEMA:
        msg = f"{file} is of another version, expected schema {SCHEMA}; build again"
        raise RecordError(msg)
    try:
        return _record(raw)
    except (KeyError, TypeError) as error:
        msg = f"{file} is damaged ({type(error).__name__}: {error}); build again"
        raise RecordError(msg) from error


def _record(raw: Mapping[str, Any]) -> BuildRecord:
    units = tuple(UnitRecord(**unit) for unit in raw["units"])
    modules = tuple(
        ModuleRecord(
            **{**module, "recipes": tuple(module["recipes"]), "kernels": tuple(module["kernels"])}
        )
        for module in raw["modules"]
    )
    return BuildRecord(**{**raw, "units": units, "modules": modules})
