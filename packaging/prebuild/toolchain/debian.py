"""The Debian route: the locked packages in a folder of the cache, no root and no chroot."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings
from prebuild.toolchain.headers import hip_version
from prebuild.toolchain.lock import Component, Lock, read_components, read_lock
from prebuild.toolchain.model import REPRODUCIBLE_HIP, PackageRef, Toolchain

CONFIG = "clang.cfg"
STAMP = "toolchain.json"
LAYOUT = 1  # raised whenever the folder is laid out in another way

# One file holds every path, so that a command line names the toolchain once.  clang puts the
# folder of the file, with a slash at the end of an argument's part, for <CFGDIR>.
CONFIG_TEXT = """\
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

LIBRARY_FOLDERS = (Path("usr/lib/x86_64-linux-gnu"), Path("usr/lib/llvm-22/lib"))
LOADER = Path("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")


def identity(lock: Lock, components: Sequence[Component] | None = None) -> str:
    """sha256 over the packages, what is kept of them, the flags and the layout."""
    parts = read_components() if components is None else components
    facts = {
        "layout": LAYOUT,
        "config": CONFIG_TEXT,
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


def is_installed(settings: Settings) -> bool:
    """Whether the toolchain of the project's lock was set up in the cache of the settings."""
    return (folder_of(settings, read_lock()) / STAMP).is_file()


def load(settings: Settings, lock: Lock | None = None) -> Toolchain:
    """The installed toolchain; raises :class:`ToolchainError` where it is absent or was moved."""
    lock = lock or read_lock()
    root = folder_of(settings, lock)
    try:
        stamp = json.loads((root / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolchainError(
            "no toolchain is installed; run `make toolchain` (or `prebuild toolchain install`):",
            [f"{root / STAMP}: {error.strerror if isinstance(error, OSError) else error}"],
        ) from error
    if stamp["root"] != str(root):
        raise ToolchainError(
            "the toolchain was moved, and its programs name their old place; "
            "run `prebuild toolchain install --force`:",
            [f"installed at {stamp['root']}, found at {root}"],
        )
    return toolchain_at(root, lock, compiler=stamp["compiler_version"])


def toolchain_at(root: Path, lock: Lock, *, compiler: str) -> Toolchain:
    """The value of the toolchain in ``root``; ``compiler`` is its version's first line."""
    config = f"--config={root / CONFIG}"
    libraries = ":".join(str(root / folder) for folder in LIBRARY_FOLDERS)
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
        hip_runtime=root / LIBRARY_FOLDERS[0] / "libamdhip64.so.7",
        loader=(str(root / LOADER), "--library-path", libraries),
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
