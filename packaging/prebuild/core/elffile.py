"""Reading ELF files of our own caches, which a full disk or a kill may have cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from prebuild.core.errors import PrebuildError

T = TypeVar("T")


class DamagedFileError(PrebuildError):
    """A file is no whole ELF file."""


def read_elf(path: Path, read: Callable[[ELFFile], T]) -> T:
    """Return what ``read`` finds in the file; raises :class:`DamagedFileError`."""
    with path.open("rb") as file:
        try:
            return read(ELFFile(file))
        except ELFError as error:
            msg = f"{path} is cut short or damaged ({error}); where it is the cache's, remove it"
            raise DamagedFileError(msg) from error
