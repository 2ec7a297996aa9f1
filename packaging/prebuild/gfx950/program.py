"""A kernel's code, ready to run: instructions in a row, and where each address is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prebuild.gfx950.codeobject import CodeObject, Descriptor
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.errors import CodeObjectError
from prebuild.gfx950.isa import Operation, build

_NEVER_WRITTEN = 0


@dataclass(frozen=True, kw_only=True)
class Program:
    """One kernel."""

    descriptor: Descriptor
    operations: tuple[Operation, ...]
    index_of: Mapping[int, int]
    """Address -> index into ``operations``."""
    code: CodeObject


def build_program(
    code: CodeObject, instructions: Mapping[int, Instruction], symbol: str
) -> Program:
    """Translate the kernel ``symbol``.

    Raises :class:`UnsupportedInstruction` at the first instruction without semantics: all of a
    kernel must be known, also what a problem does not reach.
    """
    descriptor = code.kernels.get(symbol)
    if descriptor is None:
        known = ", ".join(sorted(code.kernels)) or "none"
        raise CodeObjectError(f"no kernel {symbol}; the code object has {known}")
    end = descriptor.entry + descriptor.size
    addresses = [a for a in sorted(instructions) if descriptor.entry <= a < end]
    if not addresses:
        raise CodeObjectError(f"no code of kernel {symbol}")
    operations = tuple(build(instructions[address]) for address in addresses)
    index_of = {address: index for index, address in enumerate(addresses)}
    return Program(descriptor=descriptor, operations=operations, index_of=index_of, code=code)
