"""Where kernels come from: a wheel, a build directory, a module, or bare code objects."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, Module
from prebuild.core.errors import ProblemsError
from prebuild.core.model import OnDone
from prebuild.core.wheelfile import check_wheel, read_manifest
from prebuild.recording import Recorder
from prebuild.verify.capture import with_launches
from prebuild.verify.errors import NoKernelError
from prebuild.verify.subject import Found, Subject, subjects_in
from prebuild.verify.wide import widened

_SUFFIXES = (".so", ".co", ".o")


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give the directory or file to look into; a wheel is unpacked for the time being."""
    if path.suffix != ".whl":
        if not path.exists():
            raise NoKernelError(f"{path}: there is no such file or folder")
        yield path
        return
    check_wheel(path)
    # The wheel's name stands in the folder's, and so in every message about a file of it.
    with TemporaryDirectory(prefix=f"{path.name}-") as scratch, zipfile.ZipFile(path) as wheel:
        for name in wheel.namelist():
            if name.endswith((*_SUFFIXES, MANIFEST_NAME)):
                wheel.extract(name, scratch)
        yield Path(scratch)


def collect(
    path: Path,
    recorder: Recorder | None = None,
    on_done: OnDone = lambda *_: None,
) -> Found:
    """Return every kernel below ``path`` once, by name.

    The kernels of modules that a manifest lists come with the launches that ``recorder`` saw; of
    several modules with one kernel, a module whose launch is wrong speaks for it.  ``on_done`` is
    told of each module whose launches were recorded.
    Raises :class:`NoKernelError` where there is no kernel, :class:`ProblemsError` where a manifest
    and its modules do not fit.
    """
    listed = dict(listed_modules(path))
    count = sum(module.harvest is None for module in listed.values())
    step = itertools.count(1)
    held = {
        file: subjects_in(file) for file in ([path] if path.is_file() else sorted(_files(path)))
    }
    wide = iter(widened(subject for found in held.values() for subject in found.subjects))
    unique: dict[tuple[str, str], Subject] = {}
    unknown: set[str] = set()
    for file, found in held.items():
        unknown |= set(found.unknown)
        module = listed.get(file)
        subjects = [next(wide) for _ in found.subjects]
        if module is not None:
            _check(module, found, file)
            if recorder is not None and module.features is not None and module.harvest is None:
                subjects = with_launches(module, module.features, file, subjects, recorder)
                on_done(next(step), count, f"launches of {module.name}")
        for subject in subjects:
            first = unique.setdefault((subject.symbol, subject.sha256), subject)
            if subject.launch_problem and not first.launch_problem:
                unique[subject.symbol, subject.sha256] = subject
    if not unique and not unknown:
        raise NoKernelError(
            f"{path} holds no module: expected a wheel, or a folder with .so, .o or .co files"
        )
    ordered = sorted(unique.values(), key=lambda subject: subject.facts.name())
    return Found(subjects=tuple(ordered), unknown=tuple(sorted(unknown)))


def listed_modules(path: Path) -> Iterator[tuple[Path, Module]]:
    """Yield the file of each module that a manifest below ``path`` lists, and its entry."""
    for file in sorted(path.rglob(MANIFEST_NAME)) if path.is_dir() else ():
        for module in read_manifest(file).modules:
            yield file.parent / module.file, module


def _check(module: Module, held: Found, file: Path) -> None:
    """Raise where the manifest lists other kernels than the module holds."""
    if module.harvest is not None:
        return  # a harvested module lists no kernels
    listed = {kernel.symbol for instance in module.instances for kernel in instance.kernels}
    found = {subject.symbol for subject in held.subjects} | set(held.unknown)
    problems = [f"{symbol} is listed but not in the module" for symbol in sorted(listed - found)]
    problems += [f"{symbol} is in the module but not listed" for symbol in sorted(found - listed)]
    if problems:
        raise ProblemsError(f"{file} does not hold what its manifest says:", problems)


def _files(directory: Path) -> Iterator[Path]:
    for suffix in _SUFFIXES:
        for file in directory.rglob(f"*{suffix}"):
            if suffix == ".co" or b".hip_fatbin\0" in file.read_bytes():
                yield file
