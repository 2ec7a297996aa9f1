"""What the Debian toolchain is made of, and the exact packages it is pinned to: two data files.

``components.toml`` is written by hand, ``debian.lock.json`` by ``prebuild toolchain lock``.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from prebuild.core.errors import ToolchainError

COMPONENTS_FILE = Path(__file__).with_name("components.toml")
LOCK_FILE = Path(__file__).with_name("debian.lock.json")


def _relative(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path that stays inside its folder is expected")
    return path


_RelativePath = Annotated[str, AfterValidator(_relative)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(_Data):
    """One folder of the toolchain and the packages it is asked from; see ``components.toml``."""

    name: str
    into: _RelativePath
    suites: tuple[str, ...] = Field(min_length=1)
    roots: tuple[str, ...] = Field(min_length=1)
    prefer: tuple[str, ...] = ()
    assume: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: dict[str, tuple[str, ...]] = {}


class LockedPackage(_Data):
    """One Debian package: ``filename`` is its path under a mirror, ``size`` is in bytes."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")
    version: str = Field(pattern=r"^[A-Za-z0-9.+:~-]+$")
    suite: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(gt=0)
    filename: _RelativePath = Field(pattern=r"\.deb$")


class LockedComponent(_Data):
    """The pinned packages of one component, sorted by name."""

    name: str
    packages: tuple[LockedPackage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> LockedComponent:
        names = [package.name for package in self.packages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"listed more than once in {self.name}: {', '.join(twice)}")
        return self


class Lock(_Data):
    """The whole lock file."""

    version: Literal[1]
    architecture: Literal["amd64"]
    components: tuple[LockedComponent, ...] = Field(min_length=1)

    @property
    def packages(self) -> tuple[LockedPackage, ...]:
        """The packages of all components; one that two components hold comes twice."""
        return tuple(package for part in self.components for package in part.packages)

    def dumps(self) -> str:
        """The file's text, always the same for the same lock."""
        return json.dumps(self.model_dump(mode="json"), indent=1) + "\n"


class _Components(_Data):
    component: tuple[Component, ...]


def read_components(file: Path = COMPONENTS_FILE) -> tuple[Component, ...]:
    """Read ``components.toml``; raises :class:`ToolchainError` with all its errors."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        return _Components.model_validate(data).component
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ToolchainError(f"{file.name} cannot be read:", [str(error)]) from error
    except ValidationError as error:
        raise ToolchainError(f"{file.name} is not valid:", _problems(error)) from error


def read_lock(file: Path = LOCK_FILE) -> Lock:
    """Read the lock; raises :class:`ToolchainError` that names every key at fault."""
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
        return Lock.model_validate(data)
    except (OSError, ValueError) as error:
        problems = _problems(error) if isinstance(error, ValidationError) else [str(error)]
        raise ToolchainError(
            f"the lock file {file.name} is not usable (`prebuild toolchain lock` writes it):",
            problems,
        ) from error


def _problems(error: ValidationError) -> list[str]:
    items = error.errors()
    # Where an entry is wrong, pydantic also calls the list around it too short.
    items = [
        item
        for item in items
        if item["type"] != "too_short"
        or not any(
            len(other["loc"]) > len(item["loc"]) and other["loc"][: len(item["loc"])] == item["loc"]
            for other in items
        )
    ]
    return [
        f"{'.'.join(str(part) for part in item['loc']) or '(file)'}: {item['msg']}, "
        f"found {str(item['input'])[:80]!r}"
        for item in items
    ]
