"""The command of a unit's compile: clang's own, or for a kernel that of another code generator."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from prebuild.toolchain import Toolchain

_HERE = Path(__file__).parent
_PACKAGING = _HERE.parents[1]
_PROGRAM = ("device.py", "ir.py", "llvm.py")


def device_compiler(toolchain: Toolchain) -> list[str]:
    """Return what stands before clang's arguments where one file is compiled for the GPU alone."""
    clang, codegen = str(toolchain.clangxx), toolchain.codegen
    if codegen is None:
        return [clang]
    # -P, -S and -B: nothing of the folder it runs in, of the machine's packages, or left behind.
    program = [str(codegen.python), "-P", "-S", "-B", "-m", "prebuild.compile.device"]
    dropped = [
        *(f"--drop-attribute={name}" for name in sorted(codegen.dropped_attributes)),
        *(f"--drop-feature={name}" for name in sorted(codegen.dropped_features)),
    ]
    library = f"--library={codegen.library}"
    return ["env", f"PYTHONPATH={_PACKAGING}", *program, library, *dropped, "--", clang]


def kernel_identity(toolchain: Toolchain) -> str | None:
    """Return what beside the toolchain determines a kernel's object: the code generator and how
    it is used; None where clang does it all."""
    codegen = toolchain.codegen
    return None if codegen is None else f"{codegen.identity} {_program_identity()}"


def who_compiles(toolchain: Toolchain) -> str:
    """Return who makes kernels, for messages and the manifest."""
    codegen = toolchain.codegen
    clang = toolchain.compiler_version
    return clang if codegen is None else f"{clang}, then {codegen.version}"


@functools.cache
def _program_identity() -> str:
    digest = hashlib.sha256()
    for name in _PROGRAM:
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()
