"""Where kernels come from: a wheel, a build directory, a module, or bare code objects."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aiter_prebuilt.manifest import MANIFEST_NAME, Module, parse
from prebuild.errors import PrebuildError, ProblemsError
from prebuild.recording import Recorder
from prebuild.verify.capture import with_launches
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
            if name.endswith((*_SUFFIXES, MANIFEST_NAME)):
                wheel.extract(name, scratch)
        yield Path(scratch)


def collect(path: Path, recorder: Recorder | None = None) -> list[Subject]:
    """Return every kernel below ``path`` once, by name.

    The kernels of modules that a manifest lists come with the launches that ``recorder`` saw.
    Raises :class:`PrebuildError` where there is no kernel, :class:`ProblemsError` where a manifest
    and its modules do not fit.
    """
    listed = dict(_listed(path))
    unique: dict[tuple[str, str], Subject] = {}
    for file in [path] if path.is_file() else sorted(_files(path)):
        subjects = subjects_in(file)
        module = listed.get(file)
        if module is not None:
            _check(module, subjects, file)
            if recorder is not None:
                subjects = with_launches(module, file, subjects, recorder)
        for subject in subjects:
            unique.setdefault((subject.symbol, subject.sha256), subject)
    if not unique:
        raise PrebuildError(
            f"{path} holds no module: expected a wheel, or a folder with .so or .co files"
        )
    return sorted(unique.values(), key=lambda subject: subject.facts.name())


def _listed(path: Path) -> Iterator[tuple[Path, Module]]:
    """Yield the modules of every manifest below ``path`` with their files."""
    for file in sorted(path.rglob(MANIFEST_NAME)) if path.is_dir() else ():
        for module in parse(file.read_text()).modules:
            yield file.parent / module.file, module


def _check(module: Module, subjects: list[Subject], file: Path) -> None:
    """Raise where the manifest lists other kernels than the module holds."""
    listed = {kernel.symbol for instance in module.instances for kernel in instance.kernels}
    found = {subject.symbol for subject in subjects}
    problems = [f"{symbol} is listed but not in the module" for symbol in sorted(listed - found)]
    problems += [f"{symbol} is in the module but not listed" for symbol in sorted(found - listed)]
    if problems:
        raise ProblemsError(f"{file} does not hold what its manifest says:", problems)


def _files(directory: Path) -> Iterator[Path]:
    for suffix in _SUFFIXES:
        for file in directory.rglob(f"*{suffix}"):
            if suffix == ".co" or b".hip_fatbin\0" in file.read_bytes():
                yield file
