"""What ``aiter-prebuilt verify`` checks: every file of the wheel, every byte of each module."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
from pathlib import Path

from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import binary, store

_COLUMNS = 3
"""Of a line of RECORD: path, hash, size."""


@value_class(frozen=True, kw_only=True)
class FileCheck:
    """One file and what is wrong with it (None: nothing)."""

    path: str
    against: str
    """``manifest`` or ``RECORD``."""
    problem: Reason | None


@value_class(frozen=True, kw_only=True)
class WheelReport:
    """All files that were checked, and the signature files that were not."""

    files: tuple[FileCheck, ...]
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether every file is as it was shipped."""
        return bool(self.files) and all(check.problem is None for check in self.files)


def verify(package: Path = store.PACKAGE) -> WheelReport:
    """Check the modules against their manifests, and the manifests and code against RECORD."""
    shelves = store.read_all(package)
    checks = [_module(entry) for entry in store.entries(shelves)]
    checks += [
        FileCheck(path=str(shelf.folder), against="manifest", problem=shelf.reason)
        for shelf in shelves
        if shelf.reason is not None
    ]
    notes: list[str] = []
    records = distributions(shelves)
    for distribution in records:
        checks += _record(distribution)
        notes += _signatures(distribution)
    listed = {str(path) for distribution in records for path in files_of(distribution)}
    folders = [shelf.folder for shelf in shelves] or [package]
    checks += [_no_record(place) for place in folders if _manifest_of(place) not in listed]
    checks += _strangers(package, shelves)
    return WheelReport(files=tuple(checks), notes=tuple(notes))


def _no_record(package: Path) -> FileCheck:
    """Without the list of the wheel's files nobody can say whether they are all there."""
    message = f"no RECORD beside {package} names its files: install the wheel again"
    reason = Reason(code="record-missing", message=message)
    return FileCheck(path=str(package), against="RECORD", problem=reason)


def _strangers(package: Path, shelves: tuple[store.Shelf, ...]) -> list[FileCheck]:
    """Shared objects that no manifest names; the package has no others."""
    known = {entry.path for entry in store.entries(shelves)}
    folders = [shelf.folder for shelf in shelves if shelf.manifest is not None] or [package]
    found = sorted(path for folder in folders for path in folder.rglob("*.so*"))
    return [
        FileCheck(
            path=str(path),
            against="manifest",
            problem=Reason(code="stranger", message=f"{path} is in no manifest: remove it"),
        )
        for path in found
        if path not in known
    ]


def _module(entry: store.Entry) -> FileCheck:
    problem = None
    try:
        binary.check(entry.module, entry.path, host.glibc_version())
    except BinaryError as error:
        problem = Reason(code=error.code, message=str(error))
    return FileCheck(path=str(entry.path), against="manifest", problem=problem)


def distributions(shelves: tuple[store.Shelf, ...]) -> list[importlib.metadata.Distribution]:
    """Return the installed distributions that the shelves' manifests belong to."""
    places = sorted({str(shelf.folder.parent) for shelf in shelves})
    wanted = {_manifest_of(shelf.folder) for shelf in shelves}
    return [
        distribution
        for distribution in importlib.metadata.distributions(path=places)
        if wanted & {str(path) for path in files_of(distribution)}
    ]


def _manifest_of(folder: Path) -> str:
    return f"{folder.name}/manifest.json"


def files_of(
    distribution: importlib.metadata.Distribution,
) -> list[importlib.metadata.PackagePath]:
    """Return the files of its RECORD; none where that is damaged, whosever distribution it is."""
    try:
        return list(distribution.files or ())
    except (ValueError, TypeError, csv.Error, OSError):
        return []


def _record(distribution: importlib.metadata.Distribution) -> list[FileCheck]:
    root = Path(str(distribution.locate_file("")))
    checks = []
    for row in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        name, digest = (*row, "")[:2]
        if len(row) != _COLUMNS:
            message = f"RECORD of {root} is damaged ({','.join(row)!r}): install the wheel again"
            reason = Reason(code="record-missing", message=message)
            checks.append(FileCheck(path=str(root / name), against="RECORD", problem=reason))
        elif digest.startswith("sha256="):
            path = _located(root, name)
            problem = _compare(path, digest.removeprefix("sha256="))
            checks.append(FileCheck(path=str(path), against="RECORD", problem=problem))
    return checks


def _located(root: Path, name: str) -> Path:
    """Where a file of RECORD lies; ``pip --target`` moves scripts and leaves RECORD as it was."""
    moved = root / "bin" / Path(name).name
    return moved if name.startswith("../") and moved.is_file() else root / name


def _compare(path: Path, digest: str) -> Reason | None:
    try:
        found = hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        return Reason(code="file-unreadable", message=f"{path}: {error.strerror}")
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != digest:
        return Reason(code="sha256", message=f"{path} was changed after it was installed")
    return None


def _signatures(distribution: importlib.metadata.Distribution) -> list[str]:
    return [
        f"{path} is a Sigstore bundle; it signs the wheel file, so check it there: "
        "python -m sigstore verify identity --bundle BUNDLE WHEEL"
        for path in files_of(distribution)
        if str(path).endswith((".sigstore", ".sigstore.json"))
    ]
