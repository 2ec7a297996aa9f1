"""A bounds-checked reader of x86-64 ELF shared objects: what ``dlopen`` would trust blindly.

Every offset of the file is checked before it is used, so a truncated or hostile file gives
:class:`~aiter_prebuilt.errors.ElfError` and never a wrong answer.  Layouts: System V gABI,
"Object Files"; symbol versions: LSB, "Symbol Versioning".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from aiter_prebuilt.errors import ElfError
from aiter_prebuilt.values import value_class

Read = Callable[[int, int], bytes]
"""``read(offset, size)`` returns up to ``size`` bytes of the file from ``offset``."""

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_DYN = struct.Struct("<qQ")
_VERNEED = struct.Struct("<HHIII")
_VERNAUX = struct.Struct("<IHHII")

_ET_DYN, _EM_X86_64 = 3, 62
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF

_MAX_HEADERS = 256
_MAX_TABLE = 1 << 24
"""No table of names or dynamic entries of a real library comes near 16 MiB."""


@value_class(frozen=True, kw_only=True)
class SharedObject:
    """What the dynamic linker will ask of the host, and where the GPU code lies."""

    soname: str | None
    needed: tuple[str, ...]
    run_paths: tuple[str, ...]
    """DT_RPATH and DT_RUNPATH."""
    versions: tuple[tuple[str, str], ...]
    """Pairs of (library, symbol version) that must be there, e.g. (libc.so.6, GLIBC_2.14)."""
    fat_binary: tuple[int, int] | None
    """Offset and size in bytes of ``.hip_fatbin``, None where there is no such section."""


@value_class(frozen=True, kw_only=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


class _File:
    """The file with its length; every read is within it."""

    def __init__(self, read: Read, size: int) -> None:
        self.read, self.size = read, size

    def take(self, offset: int, size: int, what: str) -> bytes:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ElfError(
                f"{what} lies at {offset}..{offset + size}, the file ends at {self.size}: truncated"
            )
        data = self.read(offset, size)
        if len(data) != size:
            raise ElfError(f"{what}: read {len(data)} bytes, expected {size}: truncated")
        return data


def read_shared_object(read: Read, size: int) -> SharedObject:
    """Read the facts of a shared object of ``size`` bytes; raises ElfError where it is unsound."""
    file = _File(read, size)
    header = _header(file)
    segments = _segments(file, header)
    table = _dynamic(file, segments)
    names = _strings(file, segments, table)
    return SharedObject(
        soname=next((_name(names, value) for value in table.get(_DT_SONAME, [])), None),
        needed=tuple(_name(names, value) for value in table.get(_DT_NEEDED, [])),
        run_paths=tuple(
            _name(names, value) for tag in (_DT_RPATH, _DT_RUNPATH) for value in table.get(tag, [])
        ),
        versions=tuple(_versions(file, segments, table, names)),
        fat_binary=_section(file, header, b".hip_fatbin"),
    )


def _header(file: _File) -> tuple[int, ...]:
    ident, *fields = _EHDR.unpack(file.take(0, _EHDR.size, "the ELF header"))
    if ident[:4] != b"\x7fELF":
        raise ElfError(f"starts with {ident[:4]!r}, expected an ELF file")
    if ident[4:7] != b"\x02\x01\x01":
        raise ElfError("is not a 64-bit little-endian ELF file of version 1")
    kind, machine = fields[0], fields[1]
    if kind != _ET_DYN or machine != _EM_X86_64:
        raise ElfError(
            f"is of type {kind} for machine {machine}, expected a shared object for x86-64"
        )
    return tuple(fields)


def _segments(file: _File, header: tuple[int, ...]) -> list[_Segment]:
    offset, entry_size, count = header[4], header[8], header[9]
    if entry_size != _PHDR.size or not 0 < count <= _MAX_HEADERS:
        raise ElfError(f"has {count} program headers of {entry_size} bytes")
    raw = file.take(offset, count * entry_size, "the program headers")
    found = []
    for kind, _, start, address, _, in_file, in_memory, _ in _PHDR.iter_unpack(raw):
        if kind in (_PT_LOAD, _PT_DYNAMIC) and start + in_file > file.size:
            raise ElfError(
                f"a segment ends at {start + in_file}, the file at {file.size}: truncated"
            )
        if kind == _PT_LOAD and in_file > in_memory:
            raise ElfError(f"a segment takes {in_file} bytes of the file, {in_memory} of memory")
        found.append(_Segment(kind=kind, offset=start, address=address, size=in_file))
    if not any(segment.kind == _PT_LOAD for segment in found):
        raise ElfError("has no segment to load")
    return found


def _dynamic(file: _File, segments: list[_Segment]) -> dict[int, list[int]]:
    dynamic = [segment for segment in segments if segment.kind == _PT_DYNAMIC]
    if len(dynamic) != 1:
        raise ElfError(f"has {len(dynamic)} dynamic segments, expected one")
    size = dynamic[0].size - dynamic[0].size % _DYN.size
    if size > _MAX_TABLE:
        raise ElfError(f"has a dynamic segment of {size} bytes")
    table: dict[int, list[int]] = {}
    for tag, value in _DYN.iter_unpack(file.take(dynamic[0].offset, size, "the dynamic segment")):
        if tag == 0:
            return table
        table.setdefault(tag, []).append(value)
    raise ElfError("has a dynamic segment without an end")


def _offset_of(segments: list[_Segment], address: int, what: str) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
            return segment.offset + address - segment.address
    raise ElfError(f"{what} has address {address:#x}, which no segment of the file holds")


def _strings(file: _File, segments: list[_Segment], table: dict[int, list[int]]) -> bytes:
    sizes, addresses = table.get(_DT_STRSZ, []), table.get(_DT_STRTAB, [])
    if len(sizes) != 1 or len(addresses) != 1:
        raise ElfError("names no table of strings")
    if sizes[0] > _MAX_TABLE:
        raise ElfError(f"has {sizes[0]} bytes of strings")
    start = _offset_of(segments, addresses[0], "the table of strings")
    return file.take(start, sizes[0], "the table of strings")


def _name(names: bytes, start: int) -> str:
    end = names.find(b"\0", start) if 0 <= start < len(names) else -1
    if end < 0:
        raise ElfError(f"a name starts at {start} of {len(names)} bytes of strings, without an end")
    try:
        return names[start:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ElfError(f"a name is not text: {names[start:end][:40]!r}") from error


def _versions(
    file: _File, segments: list[_Segment], table: dict[int, list[int]], names: bytes
) -> Iterator[tuple[str, str]]:
    if not table.get(_DT_VERNEED):
        return
    count = table.get(_DT_VERNEEDNUM, [0])[0]
    if count > _MAX_HEADERS:
        raise ElfError(f"needs versions of {count} libraries")
    where = _offset_of(segments, table[_DT_VERNEED][0], "the version needs")
    for _ in range(count):
        raw = file.take(where, _VERNEED.size, "a version need")
        _, entries, library, first, following = _VERNEED.unpack(raw)
        aux = where + first
        if entries > _MAX_HEADERS * 16:
            raise ElfError(f"needs {entries} versions of one library")
        for _ in range(entries):
            raw = file.take(aux, _VERNAUX.size, "a version need")
            _, _, _, version, step = _VERNAUX.unpack(raw)
            yield _name(names, library), _name(names, version)
            aux += step
        where += following


def _section(file: _File, header: tuple[int, ...], wanted: bytes) -> tuple[int, int] | None:
    offset, entry_size, count, names_index = header[5], header[10], header[11], header[12]
    if not count:
        return None
    if entry_size != _SHDR.size or names_index >= count:
        raise ElfError(f"has {count} section headers of {entry_size} bytes")
    raw = file.take(offset, count * entry_size, "the section headers")
    sections = list(_SHDR.iter_unpack(raw))
    names_at, names_size = sections[names_index][4], sections[names_index][5]
    if names_size > _MAX_TABLE:
        raise ElfError(f"has {names_size} bytes of section names")
    names = file.take(names_at, names_size, "the section names")
    for section in sections:
        start = section[0]
        if names[start : start + len(wanted) + 1] == wanted + b"\0":
            if section[4] + section[5] > file.size:
                raise ElfError("a section ends behind the end of the file: truncated")
            return section[4], section[5]
    return None


def version(text: str) -> tuple[int, int]:
    """Read ``major.minor``; anything else is a version that no host reaches."""
    parts = text.split(".")
    if len(parts) >= 2 and all(part.isdigit() for part in parts[:2]):  # noqa: PLR2004
        return int(parts[0]), int(parts[1])
    return 1 << 30, 0
