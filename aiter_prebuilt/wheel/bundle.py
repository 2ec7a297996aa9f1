"""The GPU targets that a module's ``.hip_fatbin`` section holds code for.

Layout: Clang documentation, "Clang Offload Bundler", bundled binary file layout.  A linked module
holds one bundle a translation unit.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from aiter_prebuilt.errors import BinaryError

_MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
_COMPRESSED = b"CCOB"
_ENTRY = struct.Struct("<QQQ")
_MAX_ENTRIES = 64
_TARGET = re.compile(rb"^hipv?\d*-amdgcn-amd-amdhsa-[^-]*-(gfx[0-9a-f]+)")


def gpu_targets(section: bytes) -> frozenset[str]:
    """Return the targets that every bundle of the section has code for.

    Raises :class:`BinaryError` where a bundle is compressed (its targets cannot be seen), where
    one is cut off, or where there is none.
    """
    if section.lstrip(b"\0").startswith(_COMPRESSED):
        raise BinaryError(
            "bundle-compressed", "its GPU code is compressed, so its targets cannot be checked"
        )
    found = list(_bundles(section))
    if not found:
        raise BinaryError("bundle-missing", "it holds no GPU code")
    return frozenset.intersection(*found)


def named_targets(section: bytes) -> frozenset[str]:
    """Return the targets that any bundle has code for: what AITER sees in a module of its own.

    Compressed bundles name none.  Raises :class:`BinaryError` where one is cut off.
    """
    return frozenset[str]().union(*_bundles(section))


def _bundles(section: bytes) -> Iterator[frozenset[str]]:
    start = section.find(_MAGIC)
    while start >= 0:
        yield _targets_of_bundle(section, start)
        start = section.find(_MAGIC, start + len(_MAGIC))


def _targets_of_bundle(section: bytes, start: int) -> frozenset[str]:
    position = start + len(_MAGIC)
    count = int.from_bytes(_take(section, position, 8), "little")
    position += 8
    if count > _MAX_ENTRIES:
        raise BinaryError("bundle-damaged", f"a bundle of GPU code claims {count} entries")
    targets = set()
    for _ in range(count):
        offset, size, id_size = _ENTRY.unpack(_take(section, position, _ENTRY.size))
        position += _ENTRY.size
        match = _TARGET.match(_take(section, position, id_size))
        position += id_size
        if match and size:
            _take(section, start + offset, size)
            targets.add(match[1].decode())
    return frozenset(targets)


def _take(section: bytes, start: int, size: int) -> bytes:
    if start + size > len(section):
        raise BinaryError(
            "bundle-damaged",
            f"a bundle of GPU code ends at {start + size}, its section at {len(section)}",
        )
    return section[start : start + size]
