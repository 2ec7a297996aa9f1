"""The installed modules: each manifest with the folder that its files lie in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aiter_prebuilt.reason import Reason
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import (
    COVERAGES,
    MANIFEST_NAME,
    Contract,
    Manifest,
    ManifestError,
    Module,
    parse,
)

PACKAGE = Path(__file__).parents[1]

_MAX_MANIFEST = 1 << 24
"""16 MiB; a manifest of all families is below one."""


@value_class(frozen=True, kw_only=True)
class Entry:
    """One module of an installed wheel."""

    folder: Path
    module: Module
    contracts: Mapping[str, Contract]
    """Those that the module meets, by name."""
    version: str
    """Of the wheel."""

    @property
    def path(self) -> Path:
        """The module's file."""
        return self.folder / self.module.file

    def meeting(self, contracts: Mapping[str, Contract]) -> Entry:
        """Return the same module with these of its contracts alone."""
        return replace(self, contracts=contracts)


@value_class(frozen=True, kw_only=True)
class Shelf:
    """One folder with a manifest: the manifest, or why it cannot be used."""

    folder: Path
    manifest: Manifest | None
    reason: Reason | None


def folders(package: Path = PACKAGE) -> tuple[Path, ...]:
    """Return where manifests may lie: the package, then ``aiter_prebuilt_*`` folders beside it.

    The latter are what ``prebuild harvest`` makes.
    """
    try:
        siblings = sorted(
            path
            for path in package.parent.glob("aiter_prebuilt_*")
            if (path / MANIFEST_NAME).exists()
        )
    except OSError:
        siblings = []
    return (package, *siblings)


def read_shelf(folder: Path) -> Shelf:
    """Read one folder's manifest."""
    path = folder / MANIFEST_NAME
    try:
        return Shelf(folder=folder, manifest=parse(_text(path)), reason=None)
    except FileNotFoundError:
        reason = Reason(code="manifest-missing", message=f"{path} is not there")
    except OSError as error:
        reason = Reason(code="manifest-unreadable", message=f"{path}: {error.strerror}")
    except (ManifestError, UnicodeDecodeError) as error:
        reason = Reason(code="manifest-invalid", message=f"{path}: {error}; reinstall the wheel")
    return Shelf(folder=folder, manifest=None, reason=reason)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MAX_MANIFEST + 1)
    if len(data) > _MAX_MANIFEST:
        raise ManifestError(f"manifest is larger than {_MAX_MANIFEST} bytes")
    return data.decode("utf-8")


def read_all(package: Path = PACKAGE) -> tuple[Shelf, ...]:
    """Read every manifest there is."""
    return tuple(read_shelf(folder) for folder in folders(package))


def entries(shelves: tuple[Shelf, ...]) -> tuple[Entry, ...]:
    """Return all modules of the readable manifests."""
    return tuple(
        Entry(
            folder=shelf.folder,
            module=module,
            contracts={name: shelf.manifest.contracts[name] for name in module.contracts},
            version=shelf.manifest.version,
        )
        for shelf in shelves
        if shelf.manifest is not None
        for module in shelf.manifest.modules
    )


def candidates(shelves: tuple[Shelf, ...], stock_name: str) -> tuple[Entry, ...]:
    """Return the modules that can stand for AITER's ``stock_name``, in the order to try them.

    Reduced ones go first: they are smaller, and what they do not cover goes on to the next.
    """
    found = [kept for entry in entries(shelves) if (kept := _asked_for(entry, stock_name))]
    return tuple(sorted(found, key=lambda entry: COVERAGES.index(entry.module.coverage)))


def _asked_for(entry: Entry, stock_name: str) -> Entry | None:
    """The entry with those contracts alone by which AITER has this name for it."""
    if entry.module.harvest is not None:
        return entry if entry.module.stock_name == stock_name else None
    contracts = {
        name: contract
        for name, contract in entry.contracts.items()
        if stock_name in contract.names_of(entry.module)
    }
    return entry.meeting(contracts) if contracts else None
