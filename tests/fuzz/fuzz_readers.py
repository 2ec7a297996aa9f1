"""Coverage-guided fuzzing of the readers that see untrusted bytes (needs ``atheris``).

``python -m tests.fuzz.fuzz_readers {elf,manifest,bundle} [libFuzzer options, corpus folders]``

Any exception but the reader's own is a finding, and so is a read outside the file.
"""

from __future__ import annotations

import _ctypes
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from aiter_prebuilt.errors import BinaryError, ElfError
    from aiter_prebuilt.wheel import bundle, elf, manifest

from tests.integration.runtime.sitemaker import bundle as make_bundle
from tests.unit.aiter_prebuilt import samples


def fuzz_elf(data: bytes) -> None:
    """Read any bytes as a shared object."""

    def read(offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > len(data):
            raise AssertionError(f"read {offset}+{size} of {len(data)}")
        return data[offset : offset + size]

    try:
        elf.read_shared_object(read, len(data))
    except ElfError:
        return


def fuzz_manifest(data: bytes) -> None:
    """Read any text as a manifest; what is read has to be written the same way again."""
    try:
        found = manifest.parse(data.decode("utf-8", "replace"))
    except manifest.ManifestError:
        return
    if manifest.dump(manifest.parse(manifest.dump(found))) != manifest.dump(found):
        raise AssertionError("not the same after a round trip")


def fuzz_bundle(data: bytes) -> None:
    """Read any bytes as a section of offload bundles."""
    try:
        bundle.gpu_targets(data)
    except BinaryError:
        return


TARGETS: dict[str, tuple[Callable[[bytes], None], bytes]] = {
    "elf": (fuzz_elf, Path(_ctypes.__file__).read_bytes()),
    "manifest": (fuzz_manifest, manifest.dump(samples.manifest()).encode()),
    "bundle": (fuzz_bundle, make_bundle("gfx950", "gfx942")),
}


def main() -> None:
    """Fuzz one reader, starting from a real sample."""
    target, sample = TARGETS[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "sample").write_bytes(sample)
        atheris.Setup([*sys.argv, corpus, f"-max_len={max(4096, len(sample))}"], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
