"""AITER's JIT directory as it lies on disk: own builds, locks, rights.  Reads, changes nothing."""

from __future__ import annotations

import os
import socket
import time
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Literal

from aiter_prebuilt.errors import BinaryError, ElfError
from aiter_prebuilt.host import process
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.bundle import named_targets
from aiter_prebuilt.wheel.elf import read_shared_object

_CLOCK_SECONDS = 2
"""The kernel gives its start in whole seconds."""
_GRACE_SECONDS = 600
"""A lock without an owner's name (AITER at 9bab8388 writes none) that is older than a build."""


@value_class(frozen=True, kw_only=True)
class Lock:
    """One lock file of AITER's JIT."""

    path: str
    state: Literal["held", "stale", "unknown"]
    detail: str


@value_class(frozen=True, kw_only=True)
class JitFacts:
    """Where AITER looks for its builds, and what is there."""

    folder: str
    import_name: str
    """``aiter.jit.<module>`` or ``<module>``."""
    exists: bool
    writable: bool
    locks: tuple[Lock, ...]
    hidden: tuple[str, ...]
    """Modules in the package's own folder that AITER_JIT_DIR hides."""
    rejects_other_gpus: bool
    """Whether AITER compiles anew what holds no code for the running GPU (since v0.1.17)."""


def gather(asked: Settings, aiter_root: Path | None) -> JitFacts | None:
    """Return the facts; None where neither AITER_JIT_DIR is set nor an aiter installed."""
    if asked.jit_dir is None and aiter_root is None:
        return None
    own = aiter_root / "jit" if aiter_root is not None else None
    folder = Path(asked.jit_dir) if asked.jit_dir is not None else own
    if folder is None:
        return None
    hidden = _modules(own) if asked.jit_dir is not None and own is not None else ()
    return JitFacts(
        folder=str(folder),
        import_name="<module>" if asked.jit_dir is not None else "aiter.jit.<module>",
        exists=folder.is_dir(),
        writable=os.access(folder, os.W_OK),
        locks=tuple(_lock(path) for path in _glob(folder / "build", "lock_*")),
        hidden=hidden,
        rejects_other_gpus=aiter_root is not None and _rejects_other_gpus(aiter_root),
    )


def own_file(folder: Path, stock_name: str) -> Path | None:
    """Return AITER's own file of a module, which Python's import finds before ours."""
    for suffix in EXTENSION_SUFFIXES:
        path = folder / f"{stock_name}{suffix}"
        if path.is_file():
            return path
    return None


def _glob(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _modules(folder: Path) -> tuple[str, ...]:
    return tuple(path.name for path in _glob(folder, "module_*.so"))


def _lock(path: Path, proc: Path = process.PROC) -> Lock:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        made = path.stat().st_mtime
    except OSError as error:
        return Lock(path=str(path), state="unknown", detail=str(error.strerror))
    named = len(lines) > 1 and lines[0].isdigit()
    if named and lines[1] != socket.gethostname():
        return Lock(path=str(path), state="unknown", detail=f"held on host {lines[1]}")
    boot = process.booted(proc)
    if boot is not None and made < boot - _CLOCK_SECONDS:
        return _stale(path, "it is older than this machine's start")
    if not named:
        age = time.time() - made
        state: Literal["stale", "unknown"] = "stale" if age > _GRACE_SECONDS else "unknown"
        return Lock(path=str(path), state=state, detail=f"no owner noted, {age:.0f} s old")
    began = process.started(int(lines[0]), proc)
    if began is None:
        return _stale(path, f"process {lines[0]} is gone")
    if made < began - _CLOCK_SECONDS:
        return _stale(
            path, f"process {lines[0]} is another one, younger than the lock; AITER waits"
        )
    return Lock(path=str(path), state="held", detail=f"process {lines[0]} builds")


def _stale(path: Path, why: str) -> Lock:
    return Lock(path=str(path), state="stale", detail=f"{why}; remove the file")


def _rejects_other_gpus(aiter_root: Path) -> bool:
    try:
        text = (aiter_root / "jit" / "core.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "def _needs_arch_rebuild(" in text


def targets_of(file: Path) -> frozenset[str]:
    """The GPU targets that AITER sees in a module file: none where it is unsound or compressed."""
    try:
        with file.open("rb") as opened:
            number = opened.fileno()

            def read(offset: int, size: int) -> bytes:
                return os.pread(number, size, offset)

            found = read_shared_object(read, os.fstat(number).st_size)
            return named_targets(read(*found.fat_binary) if found.fat_binary is not None else b"")
    except (OSError, ElfError, BinaryError):
        return frozenset()
