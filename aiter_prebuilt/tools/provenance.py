"""What ``aiter-prebuilt verify --provenance`` says: how the wheel was built, and its SBOM.

Two documents of the wheel tell of its making: the build record of the manifest, and the bill of
materials in the metadata (PEP 770, CycloneDX).  They come from one build, so they must agree.
Who built it is neither's to say: PEP 740 attestations are kept by the index and signed.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aiter_prebuilt import target
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.tools import wheelcheck
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import BuildRecord, Kernel, Manifest

SBOM_FILE = f"{target.load().distribution}.cdx.json"


@value_class(frozen=True, kw_only=True)
class Provenance:
    """The build record of one wheel and what contradicts it."""

    version: str
    record: BuildRecord
    as_aiter: Mapping[str, int]
    """AITER -> how many kernels were seen to be those that its own sources give."""
    kernels: int
    """Different ones, of all modules."""
    sbom: str | None
    """Path of the bill of materials."""
    problems: tuple[Reason, ...]


def read(package: Path = store.PACKAGE) -> tuple[Provenance, ...]:
    """Read the provenance of every installed wheel whose manifest can be read."""
    shelves = store.read_all(package)
    records = wheelcheck.distributions(shelves)
    found = []
    for shelf in shelves:
        if shelf.manifest is not None:
            path = _sbom(records, shelf.folder)
            kernels = _kernels(shelf.manifest)
            found.append(
                Provenance(
                    version=shelf.manifest.version,
                    record=shelf.manifest.build,
                    as_aiter=dict(Counter(name for kernel in kernels for name in kernel.as_aiter)),
                    kernels=len(kernels),
                    sbom=None if path is None else str(path),
                    problems=tuple(_compare(shelf.manifest, path)),
                )
            )
    return tuple(found)


def _kernels(manifest: Manifest) -> list[Kernel]:
    """Each kernel once, whichever modules hold it."""
    by_symbol = {
        kernel.symbol: kernel
        for module in manifest.modules
        for instance in module.instances
        for kernel in instance.kernels
    }
    return list(by_symbol.values())


def _sbom(records: list[importlib.metadata.Distribution], folder: Path) -> Path | None:
    """The bill of materials in the metadata of the wheel that holds ``folder``."""
    for distribution in records:
        for path in wheelcheck.files_of(distribution):
            located = Path(str(distribution.locate_file(path)))
            if located.match(f"*.dist-info/sboms/{SBOM_FILE}") and (
                located.parent.parent.parent == folder.parent
            ):
                return located
    return None


def _compare(manifest: Manifest, path: Path | None) -> Iterator[Reason]:
    if path is None:
        yield Reason(code="sbom-missing", message=f"the wheel's metadata has no sboms/{SBOM_FILE}")
        return
    try:
        bill = json.loads(path.read_bytes())
        said = {str(part["name"]): _value(part) for part in bill["components"]}
        version = bill["metadata"]["component"]["version"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        yield Reason(code="sbom-unreadable", message=f"{path}: {error!r}")
        return
    expected = {module.file: module.sha256 for module in manifest.modules}
    expected |= {
        "composable_kernel": manifest.build.ck_version,
        "hip": manifest.build.hip_version,
    }
    for name, value in expected.items():
        found = said.get(name)
        if found != value:
            yield Reason(code="sbom-differs", message=f"{name}: SBOM {found}, manifest {value}")
    for name in sorted(said.keys() - expected.keys()):
        yield Reason(code="sbom-differs", message=f"{name} is in the SBOM, not in the manifest")
    if version != manifest.version:
        yield Reason(code="sbom-differs", message=f"SBOM of {version}, wheel {manifest.version}")


def _value(part: Mapping[str, Any]) -> str | None:
    """A component's sha256 where it is a file, else its version."""
    for entry in part.get("hashes", ()):
        if entry.get("alg") == "SHA-256":
            return str(entry.get("content"))
    version = part.get("version")
    return None if version is None else str(version)
