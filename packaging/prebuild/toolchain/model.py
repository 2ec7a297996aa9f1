"""The value that crosses to the compile, link and inspect stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from prebuild.core.errors import ToolchainError

# clang names a symbol of each HIP unit (__hip_cuid_...) after a hash of the command line, paths of
# the toolchain included.  It serves -fgpu-rdc only, which nothing here uses.
REPRODUCIBLE_HIP = ("-fuse-cuid=none",)


@dataclass(frozen=True, kw_only=True)
class PackageRef:
    """Where a part of the toolchain came from."""

    name: str
    version: str
    sha256: str
    origin: Literal["debian", "pypi"] = "debian"


@dataclass(frozen=True, kw_only=True)
class CodeGenerator:
    """Another LLVM for the passes and the code generation of kernels, behind the same clang.

    Attributes:
        version: what it calls itself, and the release that it is of.
        python: a Python that can load ``library``; standard library only.
        library: LLVM with the AMDGPU target and LLVM's C API.
        dropped_attributes: attributes of clang's IR that it does not know, each with the reason
            why leaving it out changes no meaning; another unknown one is an error.
        dropped_features: target features of clang's IR, likewise.
        dropped_options: what clang sets in its own code generator and its C API cannot, likewise.
        identity: sha256 over the library and what is dropped of the IR; holds no path.
    """

    version: str
    python: Path
    library: Path
    dropped_attributes: Mapping[str, str] = field(default_factory=dict)
    dropped_features: Mapping[str, str] = field(default_factory=dict)
    dropped_options: Mapping[str, str] = field(default_factory=dict)
    identity: str


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """A compiler for gfx950 with all that a build needs; paths are absolute.

    Attributes:
        kind: ``debian`` (our own folder) or ``rocm`` (an installation of the machine).
        root: the folder of it; build outputs never name it (``-ffile-prefix-map`` is in the flags).
        clangxx: the compiler driver; runs as it is, from any working directory.
        env: variables for the compiler's processes alone; empty for both kinds today.
        hip_flags: what a HIP compile needs in order to find its parts, device side and host side.
        host_flags: what a host-only compile and each link need (sysroot, linker, ``-L`` of HIP).
        llvm_bin: the folder of the llvm tools, see :meth:`tool`.
        ck_include: the folder that holds ``ck/ck.hpp``; already searched through the flags.
        ck_version: the package version of composable kernel, or ``CK_VERSION`` of its header.
        ck_origin: where that folder came from, where the caller named it; None: the toolchain's.
        ck_licence: the licence text of composable kernel, or None where there is none.
        hip_version: ``major.minor.patch`` of the HIP headers.
        compiler_version: the first line of ``clang++ --version``.
        python_include: folders for ``Python.h``; to be used with ``Py_LIMITED_API`` only.
        hip_runtime: the real ``libamdhip64.so.7``, or None where there is none.
        loader: the command that runs a program with the toolchain's own libc, see
            :meth:`run_command`; empty where the machine's own does.
        python: a Python that can load ``hip_runtime`` in-process, or None.
        packages: provenance.
        codegen: what takes kernels from IR to machine code, where that is not the compiler itself.
        identity: sha256 over all that determines the compiler's output; holds no path.
            ``codegen``, which makes kernels alone, has its own.
    """

    kind: Literal["debian", "rocm"]
    root: Path
    clangxx: Path
    env: Mapping[str, str] = field(default_factory=dict)
    hip_flags: tuple[str, ...]
    host_flags: tuple[str, ...]
    llvm_bin: Path
    ck_include: Path
    ck_version: str
    ck_origin: str | None = None
    ck_licence: Path | None
    hip_version: str
    compiler_version: str
    python_include: tuple[Path, ...]
    hip_runtime: Path | None
    loader: tuple[str, ...] = ()
    python: Path | None
    packages: tuple[PackageRef, ...] = ()
    codegen: CodeGenerator | None = None
    identity: str

    def tool(self, name: str) -> Path:
        """The path of an llvm tool such as ``llvm-objdump``; raises :class:`ToolchainError`."""
        path = self.llvm_bin / name
        if not path.exists():
            raise ToolchainError(
                f"the {self.kind} toolchain has no {name}:", [f"{path} does not exist"]
            )
        return path

    def run_command(self, program: Path, *arguments: str) -> Sequence[str]:
        """The command that runs ``program`` (linked to HIP) with this toolchain's libraries."""
        return (*self.loader, str(program), *arguments)


WAITING = "waiting for another installation"


class Progress(Protocol):
    """Where an installation reports to; the CLI has one for terminals and one for plain lines."""

    def step(self, text: str, *, total: int = 0) -> None:
        """A step begins; ``total`` is its size in bytes where it is known."""

    def advance(self, done: int) -> None:
        """``done`` bytes of the current step are there."""


class Silent:
    """A :class:`Progress` that says nothing."""

    def step(self, text: str, *, total: int = 0) -> None:
        """Ignore it."""

    def advance(self, done: int) -> None:
        """Ignore it."""
