"""The installed modules: each manifest with the folder that its files lie in."""

from __future__ import annotations

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
    contract: Contract
    version: str
    """Of the wheel."""

    @property
    def path(self) -> Path:
        """The module's file."""
        return self.folder / self.module.file


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
            contract=shelf.manifest.contract,
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
    plain = stock_name.removesuffix("_")  # v0.1.10 to v0.1.12 join the name of empty parts, too
    found = [entry for entry in entries(shelves) if entry.module.stock_name == plain]
    return tuple(sorted(found, key=lambda entry: COVERAGES.index(entry.module.coverage)))
