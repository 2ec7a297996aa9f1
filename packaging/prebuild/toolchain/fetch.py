"""Fetching the locked packages: exactly these bytes, or one error that says what is wrong."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prebuild.core.errors import CommandError, ToolchainError
from prebuild.toolchain.apt import Apt, uri_of
from prebuild.toolchain.apt import complaints as apt_complaints
from prebuild.toolchain.lock import Lock, LockedPackage
from prebuild.toolchain.model import Progress

_POLL_SECONDS = 0.5
RELOCK = "prebuild toolchain lock"


def fetch(
    lock: Lock,
    folder: Path,
    mirrors: Sequence[str],
    progress: Progress,
    *,
    relock: str = RELOCK,
) -> dict[str, Path]:
    """Have every package of ``lock`` in ``folder``; return the files by sha256.

    The hash in the lock stands for apt's signatures: it was written from signed lists.  ``relock``
    is the command that writes this lock.  Raises :class:`ToolchainError` with every package that
    no mirror has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {package.sha256: folder / _file_name(package) for package in lock.packages}
    wanted = {package.sha256: package for package in lock.packages}
    progress.step(
        f"fetching {len(wanted)} packages", total=sum(part.size for part in wanted.values())
    )
    complaints: list[str] = []
    with tempfile.TemporaryDirectory(prefix="prebuild-apt-") as state, _watched(folder, progress):
        apt = Apt.create(Path(state))
        for mirror in mirrors:
            lacking = _lacking(wanted.values(), files)
            if lacking:
                jobs = [(uri_of(mirror, part), files[part.sha256], part.sha256) for part in lacking]
                complaints.append(apt.download(jobs))
    if lacking := _lacking(wanted.values(), files):
        raise _unavailable(lacking, mirrors, "\n".join(filter(None, complaints)), relock)
    return files


def _file_name(package: LockedPackage) -> str:
    return f"{package.sha256[:16]}-{Path(package.filename).name}"


def _lacking(packages: Iterable[LockedPackage], files: dict[str, Path]) -> list[LockedPackage]:
    """Packages without a whole file; a damaged one is removed, so that it is fetched anew."""
    lacking = []
    for package in packages:
        file = files[package.sha256]
        if not file.exists():
            lacking.append(package)
        elif _sha256(file) != package.sha256:
            file.unlink()
            lacking.append(package)
    return lacking


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _watched(folder: Path, progress: Progress) -> Iterator[None]:
    """Report the growth of ``folder`` while apt, which draws for terminals only, fills it."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_POLL_SECONDS):
            progress.advance(folder_size(folder))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
    progress.advance(folder_size(folder))


def folder_size(folder: Path) -> int:
    """Bytes in the files of ``folder``; files that vanish meanwhile count as nothing."""
    size = 0
    for file in folder.iterdir():
        try:
            size += file.stat().st_size
        except OSError:
            continue
    return size


def _unavailable(
    packages: Sequence[LockedPackage], mirrors: Sequence[str], complaints: str, relock: str
) -> ToolchainError:
    try:
        there = _versions_there(packages, mirrors)
    except (CommandError, ToolchainError) as error:
        return ToolchainError(
            f"{len(packages)} packages could not be fetched, nor the mirror be asked why:",
            [*_lines(complaints), *_lines(_reason(error))],
        )
    return gone_error(packages, there, complaints, relock=relock)


def gone_error(
    packages: Sequence[LockedPackage],
    there: dict[str, str],
    complaints: str,
    *,
    relock: str = RELOCK,
) -> ToolchainError:
    """The error for packages whose pinned version cannot be had; ``there``: name to version."""
    gone = [part for part in packages if there.get(part.name) != part.version]
    if not gone:
        return ToolchainError(
            "packages could not be fetched, though the mirror lists them:", _lines(complaints)
        )
    return ToolchainError(
        f"pinned packages are gone from the mirror; run `{relock}` for those of "
        "today, or name a mirror that still has them in PREBUILD_DEBIAN_MIRROR:",
        [
            f"{part.name}: pinned is {part.version} ({part.suite}), "
            f"the mirror has {there.get(part.name, 'none')}"
            for part in gone
        ],
    )


def _versions_there(packages: Sequence[LockedPackage], mirrors: Sequence[str]) -> dict[str, str]:
    """The version of each package in its own suite, as the mirrors have it now."""
    there: dict[str, str] = {}
    for suite in sorted({package.suite for package in packages}):
        names = [package.name for package in packages if package.suite == suite]
        with tempfile.TemporaryDirectory(prefix="prebuild-apt-") as state:
            apt = Apt.create(Path(state), mirrors=mirrors, suites=[suite])
            apt.update()
            there |= apt.candidates(names)
    return there


def _reason(error: CommandError | ToolchainError) -> str:
    return apt_complaints(error.output) if isinstance(error, CommandError) else str(error)


def _lines(text: str) -> list[str]:
    return text.strip().splitlines() or ["apt said nothing"]
