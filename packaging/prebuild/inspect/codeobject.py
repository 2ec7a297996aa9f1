"""Facts of a code object: the kernel's resources as its own metadata states them, its opcodes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prebuild.core import proc
from prebuild.core.errors import PrebuildError
from prebuild.gfx950.codeobject import parse
from prebuild.toolchain import Toolchain

_METADATA = re.compile(r"AMDGPU Metadata: (---\n.*?\n\.\.\.\n)", re.DOTALL)
_OPCODE = re.compile(r"^\t([a-z]\w+)", re.MULTILINE)


class CodeObjectError(PrebuildError):
    """A code object cannot be read."""

    exit_code = 6


@dataclass(frozen=True, kw_only=True)
class KernelFacts:
    """One kernel; registers of one lane or wave, memory in bytes."""

    symbol: str
    target: str
    """``amdgcn-amd-amdhsa--gfx950``."""
    vgprs: int
    agprs: int
    sgprs: int
    lds_bytes: int
    scratch_bytes: int
    vgpr_spills: int
    sgpr_spills: int
    kernarg_bytes: int
    code_bytes: int
    opcodes: Mapping[str, int]
    """Mnemonic -> how often it stands in the code object."""


def kernel_facts(code_object: Path, toolchain: Toolchain) -> KernelFacts:
    """Read the one MoE kernel of ``code_object``.

    Raises :class:`CodeObjectError` where there is no metadata or not exactly one such kernel.
    """
    metadata = _metadata(code_object, toolchain)
    # CK's headers bring a second kernel, flush_icache, into every translation unit.
    kernels = [k for k in metadata["amdhsa.kernels"] if "flush_icache" not in k[".name"]]
    if len(kernels) != 1:
        names = [kernel[".name"][:80] for kernel in kernels]
        msg = f"{code_object} holds {names or 'no kernel'}, expected exactly one"
        raise CodeObjectError(msg)
    kernel = kernels[0]
    return KernelFacts(
        symbol=kernel[".name"],
        target=metadata["amdhsa.target"],
        vgprs=kernel[".vgpr_count"],
        agprs=kernel[".agpr_count"],
        sgprs=kernel[".sgpr_count"],
        lds_bytes=kernel[".group_segment_fixed_size"],
        scratch_bytes=kernel[".private_segment_fixed_size"],
        vgpr_spills=kernel[".vgpr_spill_count"],
        sgpr_spills=kernel[".sgpr_spill_count"],
        kernarg_bytes=kernel[".kernarg_segment_size"],
        code_bytes=parse(code_object.read_bytes()).kernels[kernel[".name"]].size,
        opcodes=opcode_counts(disassemble(code_object, toolchain)),
    )


def disassemble(code_object: Path, toolchain: Toolchain) -> str:
    """Return ``llvm-objdump -d`` of all kernels."""
    objdump = toolchain.tool("llvm-objdump")
    return proc.run([objdump, "-d", "--no-show-raw-insn", code_object]).decode()


def opcode_counts(text: str) -> dict[str, int]:
    """Count mnemonics in a disassembly, without the encoding suffixes (``_e32``, ``_e64``)."""
    names = (re.sub(r"_(e32|e64|dpp|sdwa)$", "", name) for name in _OPCODE.findall(text))
    return dict(sorted(Counter(names).items()))


def _metadata(code_object: Path, toolchain: Toolchain) -> dict[str, Any]:
    text = proc.run([toolchain.tool("llvm-readobj"), "--notes", code_object]).decode()
    match = _METADATA.search(text)
    loaded = yaml.safe_load(match[1]) if match else None
    if not isinstance(loaded, dict) or "amdhsa.kernels" not in loaded:
        msg = f"{code_object} has no AMDGPU metadata note"
        raise CodeObjectError(msg)
    return loaded
