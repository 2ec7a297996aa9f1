"""The ROCm route: an installation with its own clang, of the machine or one that pip made.

AMD's wheels (``rocm[devel]`` of ROCm 7.10 and later) have the layout of ``/opt/rocm``, but for the
device libraries, which lie inside the compiler, and composable kernel's headers, which they leave
out (ROCm/TheRock issue 6893): those come from a checkout.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import sys
import sysconfig
from pathlib import Path

from prebuild.core import proc
from prebuild.core.errors import CommandError, ToolchainError
from prebuild.core.settings import Settings
from prebuild.toolchain.ck import named_ck
from prebuild.toolchain.headers import CK_HEADER, ck_version, hip_version
from prebuild.toolchain.model import REPRODUCIBLE_HIP, Toolchain

DEFAULT = Path("/opt/rocm")
_SDK = "rocm_sdk"
"""The module of AMD's wheels that knows where they are."""
_LLVM_BINS = (Path("llvm/bin"), Path("lib/llvm/bin"))


def root_of(settings: Settings) -> Path:
    """The ROCm installation to look at: the user's choice, ``/opt/rocm``, or pip's."""
    if settings.rocm_path is not None:
        return settings.rocm_path
    return DEFAULT if DEFAULT.is_dir() else _of_pip() or DEFAULT


@functools.cache
def _of_pip() -> Path | None:
    """The ROCm in this Python's own environment; the first question unpacks it."""
    if importlib.util.find_spec(_SDK) is None:
        return None
    try:
        said = proc.run([sys.executable, "-m", _SDK, "path", "--root"]).decode().splitlines()
    except CommandError:
        return None  # rocm without [devel]: it says so itself, and has no compiler
    return Path(said[-1]) if said else None


def problems(root: Path, *, own_ck: bool = True) -> list[str]:
    """What ``root`` lacks as a ROCm installation for this project; nothing means usable.

    Without ``own_ck`` the headers of composable kernel come from elsewhere.
    """
    if not root.is_dir():
        return [f"{root} is not a folder (ROCM_PATH names another one)"]
    found = []
    if _llvm_bin(root) is None:
        found.append(f"no clang++ in {' or '.join(str(root / part) for part in _LLVM_BINS)}")
    if _bitcode(root) is None:
        found.append(f"no device libraries (ocml.bc) under {root}; package rocm-device-libs")
    if not (root / "include" / "hip" / "hip_runtime.h").exists():
        found.append(f"no {root}/include/hip/hip_runtime.h; package hip-dev")
    if own_ck and not (root / "include" / CK_HEADER).exists():
        found.append(
            f"no {root}/include/{CK_HEADER}; package composablekernel-dev, or PREBUILD_AITER "
            "(make: AITER=...), a checkout of AITER"
        )
    if not (root / "lib" / "libamdhip64.so").exists():
        found.append(f"no {root}/lib/libamdhip64.so; package hip-runtime-amd")
    return found


def lacks(settings: Settings) -> list[str]:
    """What the ROCm installation of the settings lacks, by :func:`problems`."""
    return problems(root_of(settings), own_ck=named_ck(settings) is None)


def load(settings: Settings) -> Toolchain:
    """The ROCm installation of the settings; raises :class:`ToolchainError` with all it lacks."""
    root = root_of(settings)
    if found := lacks(settings):
        raise ToolchainError(f"the ROCm installation in {root} is not usable:", found)
    llvm, bitcode = _llvm_bin(root), _bitcode(root)
    if llvm is None or bitcode is None:
        raise AssertionError("problems() has looked for both")
    clangxx = llvm / "clang++"
    version = proc.run([clangxx, "--version"]).decode(errors="replace")
    flags = (
        f"--rocm-path={root}",
        f"--rocm-device-lib-path={bitcode}",
        f"-ffile-prefix-map={root}=/toolchain",
    )
    runtime = root / "lib" / "libamdhip64.so.7"
    return Toolchain(
        kind="rocm",
        root=root,
        clangxx=clangxx,
        hip_flags=(*flags, *REPRODUCIBLE_HIP),
        host_flags=(*flags, "-isystem", f"{root}/include", "-fuse-ld=lld", f"-L{root}/lib"),
        llvm_bin=llvm,
        ck_include=root / "include",
        ck_version=_own_ck_version(root),
        ck_licence=_ck_licence(root),
        hip_version=hip_version(root / "include"),
        compiler_version=version.splitlines()[0],
        python_include=_python_include(),
        hip_runtime=runtime if runtime.exists() else None,
        python=None,
        identity=identity(root, bitcode, version),
    )


def identity(root: Path, bitcode: Path, version: str) -> str:
    """sha256 over the compiler's version, the device libraries and the headers of HIP and CK."""
    digest = hashlib.sha256()
    # "InstalledDir:" is a path, and says nothing about the output.
    lines = [line for line in version.splitlines() if not line.startswith("InstalledDir")]
    digest.update("\n".join(lines).encode())
    for folder in (bitcode, root / "include" / "hip", root / "include" / "ck"):
        for file in sorted(part for part in folder.rglob("*") if part.is_file()):
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _llvm_bin(root: Path) -> Path | None:
    return next((root / part for part in _LLVM_BINS if (root / part / "clang++").exists()), None)


def _bitcode(root: Path) -> Path | None:
    candidates = [root / "amdgcn" / "bitcode"]
    for part in _LLVM_BINS:
        candidates.append(root / part.parent / "amdgcn" / "bitcode")
        candidates += sorted((root / part.parent / "lib" / "clang").glob("*/lib/amdgcn/bitcode"))
        candidates += sorted((root / part.parent / "lib" / "clang").glob("*/amdgcn/bitcode"))
    return next((folder for folder in candidates if (folder / "ocml.bc").exists()), None)


def _own_ck_version(root: Path) -> str:
    """Of the installation's own headers; ``none`` where a checkout has to take their place."""
    include = root / "include"
    return ck_version(include) if (include / CK_HEADER).exists() else "none"


def _ck_licence(root: Path) -> Path | None:
    found = [
        file
        for pattern in ("composable*kernel*/LICENSE*", "composable*kernel*/copyright")
        for file in sorted((root / "share" / "doc").glob(pattern))
    ]
    return found[0] if found else None


def _python_include() -> tuple[Path, ...]:
    folders = [Path(sysconfig.get_path("include")), *sorted(Path("/usr/include").glob("python3.*"))]
    found = next((folder for folder in folders if (folder / "Python.h").exists()), None)
    if found is None:
        raise ToolchainError(
            "Python's headers are missing (package python3-dev):",
            [f"no Python.h in {folder}" for folder in folders],
        )
    return (found, found.parent)
