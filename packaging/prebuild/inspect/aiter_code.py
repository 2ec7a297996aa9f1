"""Which kernels were seen to be those that an AITER would build, and with what: one data file.

``prebuild identity --write`` compares and notes; a wheel's manifest says it of each kernel whose
code object is, byte for byte, one that was compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from prebuild.core.errors import ProblemsError
from prebuild.core.whole import whole

SCHEMA = 1


class AiterCodeError(ProblemsError):
    """The file of what was compared cannot be read."""

    exit_code = 2


class Checked(BaseModel):
    """One comparison: the same compiler and composable kernel on both sides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aiter: str
    """Whose generated sources."""
    compiler: str
    code_generator: str | None
    composable_kernel: str
    flags: tuple[str, ...]
    """Of AITER's own build, where they differ from ours."""
    kernels: Mapping[str, str]
    """Kernel id -> sha256 of the code object of ours that holds AITER's machine code."""

    @property
    def made_by(self) -> tuple[str, str | None, str]:
        """Compiler, code generator and composable kernel, as a build record names them."""
        return (self.compiler, self.code_generator, self.composable_kernel)

    @property
    def sides(self) -> tuple[str, tuple[str, str | None, str]]:
        """What tells comparisons apart."""
        return (self.aiter, self.made_by)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: int
    checked: tuple[Checked, ...]


def read(file: Path) -> tuple[Checked, ...]:
    """Read the file, nothing where there is none; raises :class:`AiterCodeError`."""
    if not file.exists():
        return ()
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        found = _File(schema_=raw["schema"], checked=raw["checked"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise AiterCodeError(f"{file.name} cannot be read:", [str(error)]) from error
    if found.schema_ != SCHEMA:
        raise AiterCodeError(f"{file.name} is of another version:", [f"schema {found.schema_}"])
    return found.checked


def write(file: Path, found: Checked) -> None:
    """Put a comparison into the file; kernels of an older one of the same sides stay in."""
    kept = {one.sides: one for one in read(file)}
    before = kept.get(found.sides)
    both = {**(before.kernels if before else {}), **found.kernels}
    kept[found.sides] = found.model_copy(update={"kernels": dict(sorted(both.items()))})
    checked = [kept[sides].model_dump() for sides in sorted(kept, key=repr)]
    text = json.dumps({"schema": SCHEMA, "checked": checked}, indent=1)
    with whole(file) as scratch:
        scratch.write_text(text + "\n", encoding="utf-8")


def aiters(checked: Iterable[Checked], kernel: str, sha256: str) -> tuple[str, ...]:
    """Return the AITERs whose own sources give the code of this object."""
    return tuple(sorted({one.aiter for one in checked if one.kernels.get(kernel) == sha256}))
