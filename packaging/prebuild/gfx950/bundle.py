"""Reader of clang offload bundles: the wrapper around code objects in ``.hip_fatbin``.

Format (LLVM's ClangOffloadBundler documentation): the magic ``__CLANG_OFFLOAD_BUNDLE__``, a u64
count, then per entry u64 offset, u64 size, u64 length of the id and the id itself; offsets count
from the magic.  The compressed form (magic ``CCOB``) is not read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from aiter_prebuilt import target
from prebuild.gfx950.errors import CodeObjectError

MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
ELF_MAGIC = b"\x7fELF"
_MAX_ENTRIES = 1024


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One code object of a bundle."""

    target: str
    """Offload target id, such as ``hipv4-amdgcn-amd-amdhsa--gfx950``."""
    data: bytes


def code_objects(data: bytes) -> list[bytes]:
    """Return every code object for the gfx target in ``data``, in order.

    ``data`` is a raw code object, one bundle, or any bytes that hold bundles (a ``.hip_fatbin``
    section).  Raises :class:`CodeObjectError` where a bundle is cut short, or compressed.
    """
    if data.startswith(ELF_MAGIC):
        return [data]
    if data.startswith(b"CCOB"):
        raise CodeObjectError("compressed offload bundle; build without --offload-compress")
    return [
        entry.data
        for start in _starts(data)
        for entry in read_bundle(data[start:])
        if _gfx_of(entry.target) == target.load().gfx and entry.data
    ]


def read_bundle(data: bytes) -> list[Entry]:
    """Return the entries of the bundle that begins at ``data[0]``."""
    if not data.startswith(MAGIC):
        raise CodeObjectError(f"no offload bundle: it begins with {data[:24]!r}")
    position = len(MAGIC)
    (count,) = _unpack("<Q", data, position)
    position += 8
    if count > _MAX_ENTRIES:
        raise CodeObjectError(f"offload bundle claims {count} entries")
    entries = []
    for _ in range(count):
        offset, size, length = _unpack("<QQQ", data, position)
        position += 24
        target = data[position : position + length].decode("ascii", "replace")
        position += length
        if offset + size > len(data):
            raise CodeObjectError(f"offload bundle entry {target} ends past the data")
        entries.append(Entry(target=target, data=data[offset : offset + size]))
    return entries


def _starts(data: bytes) -> list[int]:
    starts = []
    at = data.find(MAGIC)
    while at >= 0:
        starts.append(at)
        at = data.find(MAGIC, at + 1)
    return starts


def _gfx_of(target: str) -> str:
    return target.split(":", maxsplit=1)[0].rsplit("-", 1)[-1]


def _unpack(layout: str, data: bytes, position: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, position)
    except struct.error as error:
        raise CodeObjectError(f"offload bundle is cut short: {error}") from error
