"""``packaging/matrix.toml`` -> the wheel workflow's jobs, in the form of GitHub's matrices."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from prebuild.core.errors import ProblemsError
from prebuild.toolchain.pin import Pinned, PinnedAiter

SCHEMA = 1
"""Raised by one whenever a workflow of the old schema would misread the new one."""
_DEEP_ENOUGH = 3
"""Parts of a path: ``/``, ``opt``, ``ghc``."""


class MatrixError(ProblemsError):
    """``matrix.toml`` cannot be read."""

    exit_code = 2


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wheel(_Data):
    """How the work of one wheel is spread."""

    shards: int = Field(ge=1, le=64)


class Major(_Data):
    """A ROCm major: one soname, one wheel, compiled with one of its minors."""

    rocm: int
    hip_runtime: str = Field(pattern=r"^libamdhip64\.so\.\d+$")
    build: str


class Minor(_Data):
    """A ROCm minor that is supported, and an image that has it."""

    rocm: str = Field(pattern=r"^\d+\.\d+$")
    image: str

    @property
    def major(self) -> int:
        """``7`` of ``7.2``."""
        return int(self.rocm.partition(".")[0])


class Disk(_Data):
    """What a job needs on a runner's disk, and what may go from a hosted one."""

    needs_gb: int = Field(ge=1)
    removable: tuple[str, ...]

    @field_validator("removable")
    @classmethod
    def _below_the_top(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        shallow = [name for name in folders if len(PurePosixPath(name).parts) < _DEEP_ENOUGH]
        if shallow or not all(name.startswith("/") and ".." not in name for name in folders):
            msg = "expected absolute folders below /opt or /usr, none of these themselves"
            raise ValueError(msg)
        return folders


class Matrix(_Data):
    """The whole file."""

    aiter: PinnedAiter
    ck: Pinned
    disk: Disk
    wheel: Wheel
    majors: tuple[Major, ...] = Field(alias="major", min_length=1)
    minors: tuple[Minor, ...] = Field(alias="minor", min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Matrix:
        names = [minor.rocm for minor in self.minors]
        problems = [f"minor {name} stands twice" for name in set(names) if names.count(name) > 1]
        for major in self.majors:
            if major.build not in names or int(major.build.partition(".")[0]) != major.rocm:
                problems.append(f"major {major.rocm} is built with {major.build}, no minor of it")
            if not major.hip_runtime.endswith(f".{major.rocm}"):
                problems.append(f"major {major.rocm} has the runtime {major.hip_runtime}")
        known = {major.rocm for major in self.majors}
        problems += [
            f"minor {m.rocm} belongs to no major" for m in self.minors if m.major not in known
        ]
        if problems:
            raise ValueError("; ".join(sorted(problems)))
        return self


def read_matrix(file: Path) -> Matrix:
    """Read ``matrix.toml``; raises :class:`MatrixError` with all that is wrong."""
    try:
        return Matrix.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise MatrixError(f"{file.name} cannot be read:", [str(error)]) from error
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc']) or '(file)'}: {item['msg']}"
            for item in error.errors()
        ]
        raise MatrixError(f"{file.name} is not valid:", problems) from error


def jobs(matrix: Matrix) -> dict[str, Any]:
    """Stages: ``compile`` (shards), ``wheel`` (joined, one a major), ``prove`` (minors)."""
    images = {minor.rocm: minor.image for minor in matrix.minors}
    builds = [
        {"major": major.rocm, "rocm": major.build, "image": images[major.build]}
        for major in matrix.majors
    ]
    count = matrix.wheel.shards
    return {
        "schema": SCHEMA,
        "compile": {
            "include": [
                {**build, "shard": f"{part}/{count}", "part": part}
                for build in builds
                for part in range(1, count + 1)
            ]
        },
        "wheel": {"include": builds},
        "prove": {
            "include": [
                {"major": minor.major, "rocm": minor.rocm, "image": minor.image}
                for minor in matrix.minors
            ]
        },
    }
