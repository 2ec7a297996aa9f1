"""The one reader of clang offload bundles: which GPU code a module's ``.hip_fatbin`` holds.

Layout: Clang documentation, "Clang Offload Bundler", bundled binary file layout; offsets count from
a bundle's magic.  A linked module holds one bundle a translation unit.  The compressed form (magic
``CCOB``) is not read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.values import value_class

_MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
_COMPRESSED = b"CCOB"
_ENTRY = struct.Struct("<QQQ")
_MAX_ENTRIES = 64
_TARGET = re.compile(rb"^hipv?\d*-amdgcn-amd-amdhsa-[^-]*-(gfx[0-9a-f]+)")


@value_class(frozen=True, kw_only=True)
class Entry:
    """Code for one target."""

    gfx: str | None
    """``gfx950``, without the target's features; None for the host's entry."""
    start: int
    """In the bytes that hold the bundle."""
    size: int


def bundles(section: bytes) -> Iterator[tuple[Entry, ...]]:
    """Yield the entries of every bundle in ``section``, in order.

    Raises :class:`BinaryError` where a bundle is compressed or cut off.
    """
    if section.lstrip(b"\0").startswith(_COMPRESSED):
        raise BinaryError(
            "bundle-compressed", "its GPU code is compressed, so its targets cannot be checked"
        )
    start = section.find(_MAGIC)
    while start >= 0:
        yield tuple(_entries(section, start))
        start = section.find(_MAGIC, start + len(_MAGIC))


def gpu_targets(section: bytes) -> frozenset[str]:
    """Return the targets that every bundle of the section has code for.

    Raises :class:`BinaryError` where a bundle is compressed (its targets cannot be seen), where
    one is cut off, or where there is none.
    """
    found = [_targets(entries) for entries in bundles(section)]
    if not found:
        raise BinaryError("bundle-missing", "it holds no GPU code")
    return frozenset.intersection(*found)


def named_targets(section: bytes) -> frozenset[str]:
    """Return the targets that any bundle has code for: what AITER sees in a module of its own.

    Compressed bundles name none.  Raises :class:`BinaryError` where one is cut off.
    """
    try:
        return frozenset[str]().union(*map(_targets, bundles(section)))
    except BinaryError as error:
        if error.code == "bundle-compressed":
            return frozenset()
        raise


def _targets(entries: tuple[Entry, ...]) -> frozenset[str]:
    return frozenset(entry.gfx for entry in entries if entry.gfx and entry.size)


def _entries(section: bytes, start: int) -> Iterator[Entry]:
    position = start + len(_MAGIC)
    count = int.from_bytes(_take(section, position, 8), "little")
    position += 8
    if count > _MAX_ENTRIES:
        raise BinaryError("bundle-damaged", f"a bundle of GPU code claims {count} entries")
    for _ in range(count):
        offset, size, id_size = _ENTRY.unpack(_take(section, position, _ENTRY.size))
        position += _ENTRY.size
        match = _TARGET.match(_take(section, position, id_size))
        position += id_size
        if match and size:
            _take(section, start + offset, size)
        yield Entry(gfx=match[1].decode() if match else None, start=start + offset, size=size)


def _take(section: bytes, start: int, size: int) -> bytes:
    if start + size > len(section):
        raise BinaryError(
            "bundle-damaged",
            f"a bundle of GPU code ends at {start + size}, its section at {len(section)}",
        )
    return section[start : start + size]
