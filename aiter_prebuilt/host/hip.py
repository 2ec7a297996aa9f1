"""The HIP runtimes of this process: which are mapped, and which one ``dlopen`` would find.

Two HIP runtimes in one process do not see each other's streams and allocations, so the rule is:
a module binds to the copy that is already there, or to the only one that there will be.
"""

from __future__ import annotations

import importlib.util
import os
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from aiter_prebuilt.errors import ElfError
from aiter_prebuilt.host import torch_build
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.elf import read_shared_object

_NAME = "libamdhip64"
_EMULATOR = "rocjitsu"
_DEFAULT_FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER = 48
_CACHE_ENTRY = struct.Struct("<iIIIQ")
_ELF_LIBC6_X86_64 = 0x0303
"""Flags of an x86-64 entry of the linker's cache (glibc, elf/ldconfig)."""


@value_class(frozen=True, kw_only=True)
class HipCopy:
    """One HIP runtime library."""

    path: str
    soname: str | None
    """None where the file could not be read."""


@value_class(frozen=True, kw_only=True)
class HipFacts:
    """The HIP runtimes that this process has or could get."""

    mapped: tuple[HipCopy, ...]
    candidate: HipCopy | None
    """What ``dlopen`` would find by the wanted SONAME where none is mapped."""
    torch_pending: bool
    """A torch for ROCm is installed and not imported yet: it brings its own copy and goes first."""


def gather(soname: str, library_path: tuple[str, ...]) -> HipFacts:
    """Return the facts for a module that needs the runtime ``soname``."""
    mapped = mapped_copies()
    candidate = None if mapped else find_library(soname, library_path)
    pending = not mapped and "torch" not in sys.modules and is_installed("torch")
    if pending and torch_build.hip() == "":
        pending = False  # a build for another GPU maker, or for none
    return HipFacts(mapped=mapped, candidate=candidate, torch_pending=pending)


def mapped_copies(maps: Path = Path("/proc/self/maps")) -> tuple[HipCopy, ...]:
    """Return the runtimes that are mapped, one an inode."""
    found: dict[tuple[str, str], str] = {}
    try:
        text = maps.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    for line in text.splitlines():
        if _NAME not in line:
            continue
        fields = line.split(None, 5)
        if len(fields) == 6 and _is_runtime(fields[5]):  # noqa: PLR2004  fields of proc(5)
            found.setdefault((fields[3], fields[4]), fields[5].removesuffix(" (deleted)"))
    return tuple(HipCopy(path=path, soname=_soname(path)) for path in found.values())


def emulator(maps: Path = Path("/proc/self/maps")) -> str | None:
    """Return the library that stands for the GPU's driver in this process; None: there is none.

    AMD's simulator (ROCm/rocm-systems, emulation/rocjitsu) interposes on the driver by LD_PRELOAD.
    """
    try:
        text = maps.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    paths = (line.split(None, 5)[-1] for line in text.splitlines())
    return next((path for path in paths if _EMULATOR in path.rpartition("/")[2]), None)


def find_library(soname: str, library_path: tuple[str, ...]) -> HipCopy | None:
    """Return the file that ``dlopen(soname)`` would map: LD_LIBRARY_PATH, the cache, defaults."""
    for folder in library_path:
        if (found := _copy_in(folder, soname)) is not None:
            return found
    for path in _cached(soname):
        if Path(path).is_file():
            return HipCopy(path=path, soname=_soname(path))
    for folder in _DEFAULT_FOLDERS:
        if (found := _copy_in(folder, soname)) is not None:
            return found
    return None


def _copy_in(folder: str, soname: str) -> HipCopy | None:
    path = f"{folder}/{soname}"
    return HipCopy(path=path, soname=_soname(path)) if Path(path).is_file() else None


def _is_runtime(path: str) -> bool:
    name = os.path.basename(path.removesuffix(" (deleted)"))  # noqa: PTH119  may not be a path
    return re.fullmatch(r"libamdhip64[-\w]*\.so(\.\d+)*", name) is not None


def _soname(path: str) -> str | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  one descriptor for all reads
            size = os.fstat(file.fileno()).st_size
            read = file.fileno()
            return read_shared_object(lambda at, n: os.pread(read, n, at), size).soname
    except (OSError, ElfError):
        return None


def _cached(soname: str, cache: Path = Path("/etc/ld.so.cache")) -> Iterator[str]:
    try:
        data = cache.read_bytes()
    except OSError:
        return
    start = data.find(_CACHE_MAGIC)
    if start < 0 or len(data) < start + _CACHE_HEADER:
        return
    count = int.from_bytes(data[start + 20 : start + 24], "little")
    wanted = soname.encode()
    for index in range(min(count, len(data) // _CACHE_ENTRY.size)):
        at = start + _CACHE_HEADER + index * _CACHE_ENTRY.size
        if at + _CACHE_ENTRY.size > len(data):
            return
        flags, key, value, _, hwcap = _CACHE_ENTRY.unpack_from(data, at)
        if flags == _ELF_LIBC6_X86_64 and not hwcap and _text(data, start + key) == wanted:
            yield os.fsdecode(_text(data, start + value))


def _text(data: bytes, start: int) -> bytes:
    end = data.find(b"\0", start)
    return data[start:end] if end >= 0 else b""


def is_installed(name: str) -> bool:
    """Whether a top-level package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
