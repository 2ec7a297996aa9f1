"""Embed a module's code objects: a bundle each, and the table that the registrar walks.

The bundles are ordinary clang offload bundles, uncompressed: AITER's loader (e4048607) and ROCm's
own tools look for the target's name in the bytes of a module.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from aiter_prebuilt import target
from prebuild.core import identity, proc
from prebuild.core.elffile import read_elf
from prebuild.core.errors import PrebuildError
from prebuild.toolchain import Toolchain

_HOST = "host-x86_64-unknown-linux-gnu-"
_PAGE = 12
"""log2 of the alignment that the runtime expects of a bundle."""


class EmbedError(PrebuildError):
    """A code object does not hold the one kernel that was compiled into it."""

    exit_code = 5


def write_assembly(kernels: Mapping[str, Path], *, toolchain: Toolchain, directory: Path) -> Path:
    """Bundle each code object into ``directory`` and write the assembly that embeds them.

    ``kernels`` maps kernel ids to code objects.  Returns the path of ``kernels.S``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    symbols = {}
    for position, (kernel, code_object) in enumerate(kernels.items()):
        bundle(code_object, directory / f"{position}.hipfb", toolchain)
        symbols[kernel] = kernel_symbol(code_object)
    path = directory / "kernels.S"
    path.write_text(assembly(symbols))
    return path


def bundle(code_object: Path, output: Path, toolchain: Toolchain) -> None:
    """Write a bundle with an empty host entry and the GPU's code object."""
    proc.run(
        [
            toolchain.tool("clang-offload-bundler"),
            "-type=o",
            "-bundle-align=4096",
            f"-targets={_HOST},hipv4-{target.load().isa}",
            "-input=/dev/null",
            f"-input={code_object}",
            f"-output={output}",
        ]
    )


def kernel_symbol(code_object: Path) -> str:
    """Return the name of CK's MoE kernel in a code object.

    CK's headers bring a second, unrelated kernel (flush_icache) into every translation unit.
    Raises :class:`EmbedError` where there is not exactly one other.
    """
    names = read_elf(code_object, _dynamic_symbols)
    kernels = [name[:-3] for name in names if name.endswith(".kd") and "flush_icache" not in name]
    if len(kernels) != 1:
        msg = f"{code_object} holds kernels {kernels or 'none'}, expected exactly one"
        raise EmbedError(msg)
    return kernels[0]


def _dynamic_symbols(elf: ELFFile) -> list[str]:
    table = elf.get_section_by_name(".dynsym")
    if not isinstance(table, SymbolTableSection):
        return []
    return [symbol.name for symbol in table.iter_symbols()]


def assembly(symbols: Mapping[str, str]) -> str:
    """Return the assembly for ``symbols`` (kernel id -> name in its code object)."""
    lines = ['.section .hip_fatbin,"a",@progbits']
    for position in range(len(symbols)):
        lines += [f".p2align {_PAGE}", f"bundle_{position}:", f'.incbin "{position}.hipfb"']
    lines += ['.section .rodata,"a",@progbits']
    for position, (kernel, symbol) in enumerate(symbols.items()):
        handle = identity.kernel_handle(kernel)
        lines += [f"symbol_{position}:", f'.asciz "{symbol}"']
        lines += [f".globl {handle}", f".hidden {handle}", f"{handle}:", ".byte 0"]
    lines += ['.section .data.rel.ro,"aw",@progbits', ".p2align 3"]
    lines += _exported("aiter_prebuilt_kernels")
    for position, kernel in enumerate(symbols):
        handle = identity.kernel_handle(kernel)
        lines += [f".quad bundle_{position}, {handle}, symbol_{position}"]
    lines += ['.section .rodata,"a",@progbits', ".p2align 3"]
    lines += [*_exported("aiter_prebuilt_kernel_count"), f".quad {len(symbols)}"]
    lines += ['.section .note.GNU-stack,"",@progbits']
    return "\n".join(lines) + "\n"


def _exported(name: str) -> list[str]:
    return [f".globl {name}", f".hidden {name}", f"{name}:"]
