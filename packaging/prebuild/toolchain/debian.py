"""The Debian route: the locked packages in a folder of the cache, no root and no chroot."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prebuild import proc
from prebuild.errors import ToolchainError
from prebuild.settings import Settings
from prebuild.toolchain import unpack
from prebuild.toolchain.apt import require_tools
from prebuild.toolchain.fetch import fetch
from prebuild.toolchain.headers import hip_version
from prebuild.toolchain.lock import Component, Lock, read_components, read_lock
from prebuild.toolchain.model import REPRODUCIBLE_HIP, PackageRef, Progress, Toolchain
from prebuild.toolchain.selfcheck import check
from prebuild.toolchain.sources import debian_mirrors, read_sources

CONFIG = "clang.cfg"
STAMP = "toolchain.json"
LAYOUT = 1  # raised whenever the folder is laid out in another way

# One file holds every path, so that a command line names the toolchain once.  clang puts the
# folder of the file, with a slash at the end of an argument's part, for <CFGDIR>.
_CONFIG_TEXT = """\
--sysroot=<CFGDIR>/sysroot
--gcc-install-dir=<CFGDIR>/sysroot/usr/lib/gcc/x86_64-linux-gnu/10
--rocm-path=<CFGDIR>/usr
--rocm-device-lib-path=<CFGDIR>/usr/lib/llvm-22/lib/clang/22/amdgcn/bitcode
-isystem <CFGDIR>/ck/usr/include
-idirafter <CFGDIR>/usr/include
-ffile-prefix-map=<CFGDIR>=/toolchain/
-fuse-ld=lld
-L<CFGDIR>/hip/lib
"""

_TOOLS = ("clang", "clang++", "clang-offload-bundler", "clang-linker-wrapper", "ld.lld")


def identity(lock: Lock, components: Sequence[Component] | None = None) -> str:
    """sha256 over the packages, what is kept of them, the flags and the layout."""
    parts = read_components() if components is None else components
    facts = {
        "layout": LAYOUT,
        "config": _CONFIG_TEXT,
        "kept": [(part.name, part.into, sorted(part.keep.items()), part.drop) for part in parts],
        "packages": [
            (part.name, package.name, package.sha256)
            for part in lock.components
            for package in part.packages
        ],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def folder_of(settings: Settings, lock: Lock) -> Path:
    """Where the toolchain of ``lock`` lives; another lock has another folder."""
    return settings.cache_dir / "toolchain" / f"debian-{identity(lock)[:16]}"


def load(settings: Settings, lock: Lock | None = None) -> Toolchain:
    """The installed toolchain; raises :class:`ToolchainError` where it is absent or was moved."""
    lock = lock or read_lock()
    root = folder_of(settings, lock)
    try:
        stamp = json.loads((root / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolchainError(
            "no toolchain for gfx950 is installed; "
            "run `make toolchain` (or `prebuild toolchain install`):",
            [f"{root / STAMP}: {error.strerror if isinstance(error, OSError) else error}"],
        ) from error
    if stamp["root"] != str(root):
        raise ToolchainError(
            "the toolchain was moved, and its programs name their old place; "
            "run `prebuild toolchain install --force`:",
            [f"installed at {stamp['root']}, found at {root}"],
        )
    return _toolchain(root, lock, compiler=stamp["compiler_version"])


def install(settings: Settings, progress: Progress, *, force: bool = False) -> Toolchain:
    """Set the toolchain up, unless it is there already.

    Two processes at once are safe (the second waits and finds it done); after an interruption the
    packages that were fetched are kept and checked again.
    """
    lock, components = read_lock(), read_components()
    root = folder_of(settings, lock)
    root.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(root.with_suffix(".lock"), progress):
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


def mirrors_of(settings: Settings) -> tuple[str, ...]:
    """The mirrors to ask, from the settings or the machine's apt; raises where there is none."""
    mirrors = settings.debian_mirrors or debian_mirrors(read_sources())
    if not mirrors:
        raise ToolchainError(
            "no mirror of Debian is known:",
            ["the machine's apt sources name none; set PREBUILD_DEBIAN_MIRROR to one"],
        )
    return mirrors


@contextlib.contextmanager
def _exclusive(file: Path, progress: Progress) -> Iterator[None]:
    with file.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step("waiting for another installation")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


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
        check(_toolchain(root, lock, compiler=version))
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
    (tree / CONFIG).write_text(_CONFIG_TEXT, encoding="utf-8")
    (tree / "bin").mkdir()
    llvm = tree / "usr" / "lib" / "llvm-22" / "bin"
    names = {*_TOOLS, *(tool.name for tool in llvm.glob("llvm-*")), "llc", "opt"}
    for name in sorted(names):
        (tree / "bin" / name).symlink_to(Path("..", "usr", "lib", "llvm-22", "bin", name))
    (tree / "bin" / "python3.14").symlink_to(Path("..", "usr", "bin", "python3.14"))
    # A folder of its own: beside the real library lies a libc that is too new to link with.
    (tree / "hip" / "lib").mkdir(parents=True)
    (tree / "hip" / "lib" / "libamdhip64.so").symlink_to(
        Path("..", "..", unpack.LIBRARY_FOLDERS[0], "libamdhip64.so.7")
    )


def _write_stamp(root: Path, lock: Lock, compiler: str) -> None:
    stamp = {"root": str(root), "identity": identity(lock), "compiler_version": compiler}
    temporary = root / f".{STAMP}"
    temporary.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    temporary.rename(root / STAMP)


def _toolchain(root: Path, lock: Lock, *, compiler: str) -> Toolchain:
    config = f"--config={root / CONFIG}"
    libraries = ":".join(str(root / folder) for folder in unpack.LIBRARY_FOLDERS)
    headers = root / "python" / "usr" / "include"
    versions = {package.name: package.version for package in lock.packages}
    return Toolchain(
        kind="debian",
        root=root,
        clangxx=root / "bin" / "clang++",
        hip_flags=(config, *REPRODUCIBLE_HIP),
        host_flags=(config,),
        llvm_bin=root / "bin",
        ck_include=root / "ck" / "usr" / "include",
        ck_version=_upstream(versions["libcomposable-kernel-dev"]),
        ck_licence=root / "ck/usr/share/doc/libcomposable-kernel-dev/copyright",
        hip_version=hip_version(root / "usr" / "include"),
        compiler_version=compiler,
        python_include=(headers / "python3.11", headers),
        hip_runtime=root / unpack.LIBRARY_FOLDERS[0] / "libamdhip64.so.7",
        loader=(str(root / unpack.LOADER), "--library-path", libraries),
        python=root / "bin" / "python3.14",
        packages=tuple(
            PackageRef(name=package.name, version=package.version, sha256=package.sha256)
            for package in lock.packages
        ),
        identity=identity(lock),
    )


def _upstream(version: str) -> str:
    """``7.2.4`` of ``7.2.4-1~exp1``."""
    return re.sub(r"^\d+:|[+~-].*$", "", version)
