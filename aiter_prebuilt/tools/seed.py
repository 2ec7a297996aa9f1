"""Put full modules into a JIT directory that somebody manages by hand, and take them out again.

Every step can be cut off: a file appears complete or not at all (it is written without a name and
linked, or renamed, into place), what is about to be placed is noted first, and a note alone does
nothing, because a file is ours only while its sha256 is the noted one.  Reduced modules are never
placed: under AITER's file name nothing would guard what they do not cover.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from aiter_prebuilt import releases, settings
from aiter_prebuilt.errors import BinaryError, DamagedWheelError, SeedError
from aiter_prebuilt.generations import Generation
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host.match import agree
from aiter_prebuilt.tools import installed
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import binary, store
from aiter_prebuilt.wheel.manifest import Module

NOTE = ".aiter_prebuilt_seed.json"
"""In the JIT directory: file name -> sha256 of what was placed there."""

_TEMPORARY = ".aiter_prebuilt_seed."
_CHUNK = 1 << 20
_LONGEST_RUN = 3600.0
"""Seconds; a run copies some megabytes."""

Action = Literal["place", "present", "replace", "keep", "skip", "remove", "absent", "fail"]


@value_class(frozen=True, kw_only=True)
class Step:
    """What is (or would be) done to one file, and why."""

    file: str
    action: Action
    detail: str


@value_class(frozen=True, kw_only=True)
class Wish:
    """What the user asked for."""

    jit_dir: Path
    dry_run: bool = False
    force: bool = False
    """Replace files that AITER built."""


def seed(wish: Wish, shelves: tuple[store.Shelf, ...] | None = None) -> tuple[Step, ...]:
    """Place every full module; returns a step for each module.  Raises SeedError."""
    shelves = store.read_all() if shelves is None else shelves
    damaged = [shelf.reason.message for shelf in shelves if shelf.reason is not None]
    if damaged:
        raise DamagedWheelError("; ".join(damaged))
    entries = store.entries(shelves)
    there = _installed()
    with _locked(wish, create=any(e.module.coverage == "full" for e in entries)) as folder:
        steps = [_seed_one(wish, folder, entry, there) for entry in entries]
    return tuple(steps)


def remove(wish: Wish) -> tuple[Step, ...]:
    """Remove exactly the files that were placed and are still the same.  Raises SeedError."""
    with _locked(wish, create=False) as folder:
        noted = _read_note(folder)
        steps = tuple(_remove_one(wish, folder, name, digest) for name, digest in noted.items())
        if not wish.dry_run:
            with contextlib.suppress(FileNotFoundError):
                (folder / NOTE).unlink()
                _sync(folder)
    return steps


@contextlib.contextmanager
def _locked(wish: Wish, *, create: bool) -> Iterator[Path]:
    """Hold the directory itself, so that no lock file can be left behind.

    One that is not there holds nothing; it is made where something is to be placed (``create``).
    """
    folder = wish.jit_dir
    create = create and not wish.dry_run
    try:
        if not create and not folder.exists():
            yield folder
            return
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SeedError(f"{folder} cannot be used as JIT directory: {error.strerror}") from error
    alone = False
    try:
        with contextlib.suppress(OSError):  # no such lock here: each step is atomic anyway
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            alone = True
        if not wish.dry_run:
            _sweep(folder, alone=alone)
        yield folder
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise SeedError(f"{folder}: {error.strerror}{where}") from error
    finally:
        os.close(descriptor)


@value_class(frozen=True, kw_only=True)
class _There:
    """The AITER that will import what is placed."""

    generation: Generation
    """Of the newest release where none is installed."""
    unchecked: str | None
    """Its version, where it was not checked: it may do what a module refuses."""
    missing: tuple[str, ...]
    """Parts of instance names that it has not."""
    facts: contract.AiterFacts | None
    """Its stubs and enums; None where none is installed."""


def _installed() -> _There:
    root = contract.locate()
    found = contract.gather(root, settings.read().meta_dir) if root is not None else None
    checked = found is None or str(found.fingerprint) in releases.checked_sources()
    return _There(
        generation=installed.generation(found),
        unchecked=None if checked or found is None else found.version or "of an unknown version",
        missing=releases.unknown_instances(found.fingerprint) if found is not None else (),
        facts=found,
    )


def _name_there(module: Module, there: _There) -> str:
    """The name by which that AITER imports a module; what an AITER has compiled keeps its own."""
    if module.harvest is not None or module.features is None:
        return module.stock_name
    return there.generation.stock_name(module.features)


def _unfit(entry: store.Entry, there: _There) -> str:
    """Why a module cannot stand alone under AITER's name; empty where it can."""
    module = entry.module
    if module.name != module.stock_name:
        return f"{module.name} does not bear AITER's name, as a file in a JIT directory has to"
    if module.harvest is not None:
        return ""
    alone = "and in a JIT directory nobody takes"
    if there.unchecked is not None:
        what = f"AITER {there.unchecked} was not checked with this wheel"
        return f"{what}, {alone} what the module refuses"
    disagreed = agree(entry.contracts, there.facts)[1] if there.facts is not None else []
    if disagreed:
        return f"{disagreed[0].message}, {alone} what the module refuses"
    newer = (each.name for each in module.instances if each.is_named(there.missing))
    name = next(newer, None)
    return f"this AITER has no {name}, {alone} calls that name it" if name else ""


def _seed_one(wish: Wish, folder: Path, entry: store.Entry, there: _There) -> Step:
    module, stem = entry.module, _name_there(entry.module, there)
    name, unfit = f"{stem}.so", _unfit(entry, there)
    if unfit:
        return Step(file=name, action="skip", detail=unfit)
    if (folder / "build" / f"lock_{stem}").exists():
        return Step(file=name, action="keep", detail="AITER is building it (its lock is there)")
    found = _digest(folder / name)
    if found == module.sha256:
        _note(wish, folder, name, module.sha256)
        return Step(file=name, action="present", detail="is there already")
    ours = found is not None and _read_note(folder).get(name) == found
    if found is not None and not ours and not wish.force:
        return Step(file=name, action="keep", detail="AITER built it; --force replaces it")
    action: Action = "place" if found is None else "replace"
    if wish.dry_run:
        return Step(file=name, action=action, detail=f"would be copied from {entry.path}")
    return _place(wish, folder, entry, name, action)


def _place(wish: Wish, folder: Path, entry: store.Entry, name: str, action: Action) -> Step:
    try:
        checked = binary.check(entry.module, entry.path, host.glibc_version())
    except BinaryError as error:
        return Step(file=name, action="fail", detail=str(error))
    _note(wish, folder, name, entry.module.sha256)
    try:
        with _nameless(folder) as target:
            _copy(checked, target)
            placed = _appear(folder, name, target, replace=action == "replace")
    except BinaryError as error:
        return Step(file=name, action="fail", detail=str(error))
    _sync(folder)
    if not placed:
        detail = "another file took its name, such as AITER's own build"
        return Step(file=name, action="keep", detail=detail)
    return Step(file=name, action=action, detail=f"copied from {entry.path}")


def _copy(checked: binary.CheckedFile, target: int) -> None:
    digest = hashlib.sha256()
    for chunk in checked.chunks():
        digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
    if digest.hexdigest() != checked.module.sha256:
        raise BinaryError("changed", f"{checked.path} changed while it was being copied")
    os.fchmod(target, 0o644)
    os.fsync(target)


@contextlib.contextmanager
def _nameless(folder: Path) -> Iterator[int]:
    """A file in the folder without a name: killed at any point, it leaves nothing."""
    name = None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        name = _temporary(folder)  # swept by the next run where we are killed
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
        if name is not None:
            _drop(name)


def _temporary(folder: Path) -> Path:
    """A name that nobody else takes: in a container every run may be the same process number."""
    return folder / f"{_TEMPORARY}{os.urandom(8).hex()}"


def _drop(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _appear(folder: Path, name: str, descriptor: int, *, replace: bool) -> bool:
    """Give the written file its name at once; False where another one took it first."""
    if replace:
        temporary = _temporary(folder)
        try:
            _link(descriptor, temporary)
            temporary.replace(folder / name)
        finally:
            _drop(temporary)
        return True
    try:
        _link(descriptor, folder / name)
    except FileExistsError:
        return False
    return True


def _link(descriptor: int, target: Path) -> None:
    # Only with a directory's descriptor (unused: the path is absolute) does Python call linkat()
    # with AT_SYMLINK_FOLLOW; plain link() would link the symbolic link itself.
    place = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(f"/proc/self/fd/{descriptor}", target, src_dir_fd=place, follow_symlinks=True)
    finally:
        os.close(place)


def _remove_one(wish: Wish, folder: Path, name: str, digest: str) -> Step:
    path = folder / name
    found = _digest(path)
    if found is None:
        return Step(file=name, action="absent", detail="is not there any more")
    if found != digest:
        return Step(file=name, action="keep", detail="is another file by now (AITER built it)")
    if not wish.dry_run:
        path.unlink()
    return Step(file=name, action="remove", detail="was placed by aiter-prebuilt")


def _note(wish: Wish, folder: Path, name: str, digest: str) -> None:
    noted = _read_note(folder)
    if wish.dry_run or noted.get(name) == digest:
        return
    text = json.dumps({**noted, name: digest}, indent=1, sort_keys=True) + "\n"
    temporary = _temporary(folder)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / NOTE)
    finally:
        _drop(temporary)
    _sync(folder)


def _read_note(folder: Path) -> dict[str, str]:
    """Return the notes; one that is damaged claims nothing."""
    try:
        raw = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    pairs = raw.items() if isinstance(raw, dict) else ()
    return {
        name: digest
        for name, digest in pairs
        if isinstance(digest, str) and "/" not in name and name.endswith(".so")
    }


def _digest(path: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _sweep(folder: Path, *, alone: bool) -> None:
    """Remove what a killed run left.

    The directory's lock says that none is running (``alone``); where there is no such lock, only
    what is older than any run is left by a dead one.
    """
    young = time.time() - _LONGEST_RUN
    for path in folder.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if path.name != NOTE and (alone or path.stat().st_mtime < young):
                path.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
