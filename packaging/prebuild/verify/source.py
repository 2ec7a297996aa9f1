"""Where kernels come from: a wheel, a build directory, a module, or bare code objects."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prebuild.errors import PrebuildError
from prebuild.verify.subject import Subject, subjects_in

_SUFFIXES = (".so", ".co")


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give the directory or file to look into; a wheel is unpacked for the time being."""
    if path.suffix != ".whl":
        yield path
        return
    with TemporaryDirectory() as scratch, zipfile.ZipFile(path) as wheel:
        for name in wheel.namelist():
            if name.endswith(_SUFFIXES):
                wheel.extract(name, scratch)
        yield Path(scratch)


def collect(path: Path) -> list[Subject]:
    """Return every kernel below ``path`` once, by name.

    Raises :class:`PrebuildError` where there is none.
    """
    files = [path] if path.is_file() else sorted(_files(path))
    unique = {
        (subject.symbol, subject.sha256): subject for file in files for subject in subjects_in(file)
    }
    if not unique:
        raise PrebuildError(
            f"{path} holds no module: expected a wheel, or a folder with .so or .co files"
        )
    return sorted(unique.values(), key=lambda subject: subject.facts.name())


def _files(directory: Path) -> Iterator[Path]:
    for suffix in _SUFFIXES:
        for file in directory.rglob(f"*{suffix}"):
            if suffix == ".co" or b".hip_fatbin\0" in file.read_bytes():
                yield file
