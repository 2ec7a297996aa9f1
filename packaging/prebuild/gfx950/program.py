"""A kernel's code, ready to run: instructions in a row, and where each address is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prebuild.gfx950.codeobject import CodeObject, Descriptor
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.errors import CodeObjectError, UnsupportedInstruction
from prebuild.gfx950.isa import Operation, build

_KEEP_ALL = 3


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

    Raises :class:`UnsupportedInstruction` with everything in the kernel that has no semantics: all
    of it must be known, also what a problem does not reach.
    """
    listing = kernel_code(code, instructions, symbol)
    descriptor = code.kernels[symbol]
    operations: list[Operation] = []
    problems = Counter(_mode_problems(descriptor))
    for found in listing:
        try:
            operations.append(build(found))
        except UnsupportedInstruction as error:
            problems[error.message] += 1
    if problems:
        raise UnsupportedInstruction(_describe(problems, symbol))
    return Program(
        descriptor=descriptor,
        operations=tuple(operations),
        index_of={found.address: index for index, found in enumerate(listing)},
        code=code,
    )


def kernel_code(
    code: CodeObject, instructions: Mapping[int, Instruction], symbol: str
) -> list[Instruction]:
    """Return the instructions of the kernel ``symbol`` in their order."""
    descriptor = code.kernels.get(symbol)
    if descriptor is None:
        known = ", ".join(sorted(code.kernels)) or "none"
        raise CodeObjectError(f"no kernel {symbol}; the code object has {known}")
    end = descriptor.entry + descriptor.size
    addresses = [a for a in sorted(instructions) if descriptor.entry <= a < end]
    if not addresses:
        raise CodeObjectError(f"no code of kernel {symbol}")
    return [instructions[address] for address in addresses]


def _mode_problems(descriptor: Descriptor) -> Iterator[str]:
    """Yield what the kernel's initial MODE asks for and the executor does not model."""
    if descriptor.rounding:
        yield f"rounding mode {descriptor.rounding:#x}, expected 0 (nearest even)"
    if descriptor.denormals_f16_f64 != _KEEP_ALL:
        yield "denormals of f16 and f64 are flushed, expected to be kept"
    if not descriptor.ieee:
        yield "IEEE mode is off, expected on (signalling NaN are quieted)"
    if not descriptor.dx10_clamp:
        yield "DX10 clamp is off, expected on (clamp makes 0 of NaN)"


def _describe(problems: Counter[str], symbol: str) -> str:
    listed = [f"{text} ({count} times)" if count > 1 else text for text, count in problems.items()]
    return "\n  ".join([*listed, f"in kernel {symbol}"])
