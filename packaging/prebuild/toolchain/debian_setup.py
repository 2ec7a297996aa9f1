"""Setting the Debian toolchain up: fetch, unpack, fit to its place, check, rename.

Apart from :mod:`prebuild.toolchain.debian`, which every build loads: a build needs neither apt nor
what reads ELF files.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from prebuild.core import proc
from prebuild.core.errors import ToolchainError
from prebuild.core.lock import exclusive
from prebuild.core.settings import Settings
from prebuild.toolchain import unpack
from prebuild.toolchain.apt import require_tools
from prebuild.toolchain.debian import (
    CONFIG,
    CONFIG_TEXT,
    LIBRARY_FOLDERS,
    STAMP,
    folder_of,
    identity,
    load,
    toolchain_at,
)
from prebuild.toolchain.fetch import fetch
from prebuild.toolchain.lock import Component, Lock, read_components, read_lock
from prebuild.toolchain.model import WAITING, Progress, Toolchain
from prebuild.toolchain.selfcheck import check
from prebuild.toolchain.sources import mirrors_of

_TOOLS = ("clang", "clang++", "clang-offload-bundler", "clang-linker-wrapper", "ld.lld")


def install(settings: Settings, progress: Progress, *, force: bool = False) -> Toolchain:
    """Set the toolchain up, unless it is there already.

    Two processes at once are safe (the second waits and finds it done); after an interruption the
    packages that were fetched are kept and checked again.
    """
    lock, components = read_lock(), read_components()
    root = folder_of(settings, lock)
    with exclusive(root.with_suffix(".lock"), partial(progress.step, WAITING)):
        if not force:
            with contextlib.suppress(ToolchainError):
                return load(settings, lock)
        require_tools(("apt-config", "dpkg-deb", "tar", "sh"))
        unpack.require_patchelf()
        for stale in root.parent.glob(f".new-{root.name}-*"):
            shutil.rmtree(stale, ignore_errors=True)
        debs = settings.cache_dir / "downloads" / root.name
        packages = fetch(lock, debs, mirrors_of(settings), progress)
        _build(root, lock, components, packages, progress)
        shutil.rmtree(debs, ignore_errors=True)
    return load(settings, lock)


def _build(
    root: Path,
    lock: Lock,
    components: Sequence[Component],
    packages: dict[str, Path],
    progress: Progress,
) -> None:
    """Unpack into a folder beside ``root``, finish it there, and rename it last."""
    with tempfile.TemporaryDirectory(prefix=f".new-{root.name}-", dir=root.parent) as temporary:
        tree = Path(temporary) / "tree"
        _unpack_all(tree, lock, components, packages, progress)
        progress.step("fitting the programs to their place")
        # Innermost first: a link of the sysroot means the sysroot's root, not that of the tree.
        for component in sorted(components, key=lambda part: len(part.into), reverse=True):
            unpack.relink(tree / component.into)
        unpack.patch(tree, root)
        if missing := unpack.missing_libraries(tree):
            raise ToolchainError("the locked packages are not complete:", missing)
        _finish(tree)
        if root.exists():
            root.rename(Path(temporary) / "old")
        tree.rename(root)
        progress.step("checking the compiler")
        version = proc.run([root / "bin" / "clang++", "--version"]).decode().splitlines()[0]
        check(toolchain_at(root, lock, compiler=version))
        _write_stamp(root, lock, version)


def _unpack_all(
    tree: Path,
    lock: Lock,
    components: Sequence[Component],
    packages: dict[str, Path],
    progress: Progress,
) -> None:
    by_name = {component.name: component for component in components}
    jobs = [(by_name[part.name], package) for part in lock.components for package in part.packages]
    jobs.sort(key=lambda job: -job[1].size)
    progress.step("unpacking", total=sum(package.size for _, package in jobs))
    done = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        tasks = [
            pool.submit(
                unpack.extract,
                packages[package.sha256],
                tree / component.into,
                component,
                package.name,
            )
            for component, package in jobs
        ]
        for task, (_, package) in zip(tasks, jobs, strict=True):
            task.result()
            done += package.size
            progress.advance(done)


def _finish(tree: Path) -> None:
    """Add what no package holds: the folder of links, the linker's view of HIP, the flags."""
    (tree / CONFIG).write_text(CONFIG_TEXT, encoding="utf-8")
    (tree / "bin").mkdir()
    llvm = tree / "usr" / "lib" / "llvm-22" / "bin"
    names = {*_TOOLS, *(tool.name for tool in llvm.glob("llvm-*")), "llc", "opt"}
    for name in sorted(names):
        (tree / "bin" / name).symlink_to(Path("..", "usr", "lib", "llvm-22", "bin", name))
    (tree / "bin" / "python3.14").symlink_to(Path("..", "usr", "bin", "python3.14"))
    # A folder of its own: beside the real library lies a libc that is too new to link with.
    (tree / "hip" / "lib").mkdir(parents=True)
    (tree / "hip" / "lib" / "libamdhip64.so").symlink_to(
        Path("..", "..", LIBRARY_FOLDERS[0], "libamdhip64.so.7")
    )


def _write_stamp(root: Path, lock: Lock, compiler: str) -> None:
    stamp = {"root": str(root), "identity": identity(lock), "compiler_version": compiler}
    temporary = root / f".{STAMP}"
    temporary.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    temporary.rename(root / STAMP)
