"""Checking a module's file, and loading exactly the bytes that were checked.

The file is opened once.  Its content is hashed, read as ELF and mapped through that one
descriptor (``/proc/self/fd/N``), so replacing the path between check and load changes nothing; a
write into the same file is caught by comparing the inode's change time right before the load.

Why not a sealed memory file, which nobody could write to: the HIP runtime looks up in
``/proc/self/maps`` which file holds the GPU code, and some versions of it (ROCm clr,
hip_fatbin.cpp) open that path again; for a memory file this fails, and with it every launch.
Mapping the real inode keeps the real path there.  A stamp that saves the hashing is not kept: it
could be forged by a rewrite of the same size, and hashing takes 0.6 ms a megabyte.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from aiter_prebuilt.errors import BinaryError, ElfError
from aiter_prebuilt.wheel.bundle import gpu_targets
from aiter_prebuilt.wheel.elf import SharedObject, read_shared_object, version
from aiter_prebuilt.wheel.manifest import Module

_CHUNK = 1 << 20
_GLIBC_MARKS = {"GLIBC_ABI_DT_RELR": (2, 36)}
"""Version needs that name a feature, and the glibc that brought it."""

_loads = 0


class CheckedFile:
    """An open module file whose content was found to be the manifest's."""

    def __init__(self, module: Module, path: Path, descriptor: int, stamp: tuple[int, ...]) -> None:
        self.module, self.path = module, path
        self._descriptor, self._stamp = descriptor, stamp
        self._loaded = False

    def load(self) -> ModuleType:
        """Map the file and create the module under its own name; it still has to be executed.

        The descriptor stays open for good: the linker knows the library by ``/proc/self/fd/N``,
        and tools that print stack traces open that path.  Raises BinaryError or ImportError.
        """
        if _stamp(self._descriptor) != self._stamp:
            raise BinaryError("changed", f"{self.path} changed while it was being checked")
        self._loaded = True
        name = self.module.name
        place = _unique_path(self._descriptor)
        loader = importlib.machinery.ExtensionFileLoader(name, place)
        spec = importlib.machinery.ModuleSpec(name, loader, origin=place)
        module = importlib.util.module_from_spec(spec)  # pybind11's start asks for its __spec__
        if _stamp(self._descriptor) != self._stamp:
            raise BinaryError("changed", f"{self.path} changed while it was being loaded")
        return module

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's content through the descriptor that was checked."""
        position = 0
        while chunk := os.pread(self._descriptor, _CHUNK, position):
            yield chunk
            position += len(chunk)

    def execute(self, module: ModuleType) -> None:
        """Run the module's own start (its ``Py_mod_exec`` slots)."""
        loader = importlib.machinery.ExtensionFileLoader(self.module.name, str(self.path))
        loader.exec_module(module)

    def __del__(self) -> None:
        if not self._loaded:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)


def check(module: Module, path: Path, glibc: tuple[int, int] | None) -> CheckedFile:
    """Open and check ``path`` against the manifest; raises BinaryError with the reason's code."""
    descriptor = _open(path)
    try:
        stamp = _stamp(descriptor)
        check_size(module, path, os.fstat(descriptor))
        _check_hash(module, path, descriptor)
        _check_elf(module, path, descriptor, glibc)
    except BaseException:
        os.close(descriptor)
        raise
    return CheckedFile(module, path, descriptor, stamp)


def check_size(module: Module, path: Path, status: os.stat_result) -> None:
    """Compare the file's kind and size with the manifest."""
    if not stat.S_ISREG(status.st_mode):
        raise BinaryError("file-unreadable", f"{path} is not a regular file")
    if status.st_size != module.size:
        raise BinaryError(
            "size",
            f"{path} has {status.st_size} bytes, expected {module.size}; reinstall the wheel",
        )


def _open(path: Path) -> int:
    try:
        # Non-blocking: a FIFO in the file's place must not hold up the import.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise BinaryError("file-missing", f"{path} is not there; reinstall the wheel") from error
    except OSError as error:
        raise BinaryError("file-unreadable", f"{path}: {error.strerror}") from error


def _stamp(descriptor: int) -> tuple[int, ...]:
    """Identity and change time: every write, even one that restores size and mtime, moves it."""
    found = os.fstat(descriptor)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _check_hash(module: Module, path: Path, descriptor: int) -> None:
    digest = hashlib.sha256()
    position = 0
    try:
        while chunk := os.pread(descriptor, _CHUNK, position):
            digest.update(chunk)
            position += len(chunk)
    except OSError as error:
        raise BinaryError("file-unreadable", f"{path}: {error.strerror}") from error
    if digest.hexdigest() != module.sha256:
        raise BinaryError(
            "sha256",
            f"{path} has sha256 {digest.hexdigest()[:16]}…, expected {module.sha256[:16]}…; "
            "reinstall the wheel",
        )


def _check_elf(module: Module, path: Path, descriptor: int, glibc: tuple[int, int] | None) -> None:
    def read(offset: int, size: int) -> bytes:
        return os.pread(descriptor, size, offset)

    try:
        found = read_shared_object(read, module.size)
    except (ElfError, OSError) as error:
        raise BinaryError("elf", f"{path} {error}") from error
    if set(found.needed) != set(module.needed):
        raise BinaryError(
            "elf-needed",
            f"{path} needs {', '.join(found.needed)}, the manifest says {', '.join(module.needed)}",
        )
    _check_versions(path, found, glibc)
    if not module.gfx_targets:
        return  # host code only, as some harvested modules are
    section = read(*found.fat_binary) if found.fat_binary is not None else b""
    missing = sorted(set(module.gfx_targets) - gpu_targets(section))
    if missing:
        raise BinaryError("bundle-gfx", f"{path} has no GPU code for {', '.join(missing)}")


def _check_versions(path: Path, found: SharedObject, glibc: tuple[int, int] | None) -> None:
    for library, symbol_version in found.versions:
        needs = _GLIBC_MARKS.get(symbol_version) or _glibc_of(symbol_version)
        if needs is not None and (glibc is None or needs > glibc):
            host = "another C library" if glibc is None else f"glibc {glibc[0]}.{glibc[1]}"
            raise BinaryError(
                "elf-glibc", f"{path} needs {symbol_version} of {library}, the host has {host}"
            )


def _glibc_of(symbol_version: str) -> tuple[int, int] | None:
    family, _, number = symbol_version.partition("_")
    return version(number) if family == "GLIBC" else None


def _unique_path(descriptor: int) -> str:
    """A path that the linker has not seen: it takes a name it knows for the library it knows."""
    global _loads  # noqa: PLW0603  one counter a process
    _loads += 1
    return f"/proc/self/fd/{'./' * _loads}{descriptor}"
