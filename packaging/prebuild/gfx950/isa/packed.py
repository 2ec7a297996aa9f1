"""Packed 32-bit instructions: two operations on pairs of registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from prebuild.gfx950.arrays import F32
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.floats import flush, fma32
from prebuild.gfx950.isa.registry import Run, instruction
from prebuild.gfx950.isa.single import result_float
from prebuild.gfx950.isa.sources import (
    bits32,
    byte_shadow,
    lane_shadow,
    plain32,
    vector_destination,
)
from prebuild.gfx950.wave import Wave

_FUNCTIONS: dict[str, tuple[Callable[..., F32], int]] = {
    "v_pk_mul_f32": (lambda a, b: a * b, 2),
    "v_pk_add_f32": (lambda a, b: a + b, 2),
    "v_pk_fma_f32": (fma32, 3),
}


def _bits(found: Instruction, name: str, default: int, count: int) -> list[int]:
    text = found.modifiers.get(name)
    if text is None:
        return [default] * count
    return [int(part) for part in text.strip("[]").split(",")][:count]


def _half(
    found: Instruction, operand: Operand, high: int, negate: int
) -> tuple[Callable[[Wave], F32], tuple[Operand, ...]]:
    """Return the reader of one half of a pair, and the operand part that it reads."""
    sign = np.float32(-1 if negate else 1)
    part = _part(found, operand, high)
    if part.kind in ("v", "s"):
        index, scalar = part.index, part.kind == "s"

        def read(wave: Wave) -> F32:
            data: F32 = (
                np.full(64, wave.s[index], np.uint32).view(np.float32)
                if scalar
                else wave.frows[index]
            )
            signed: F32 = sign * (data if wave.denorm32 & 1 else flush(data))
            return signed

        return read, (part,)
    constant = np.uint32(bits32(found, operand)).view(np.float32)
    scaled = np.full(64, sign * constant, np.float32)
    return (lambda wave: scaled), ()


@instruction(*_FUNCTIONS, modifiers="op_sel op_sel_hi neg_lo neg_hi")
def _packed(found: Instruction) -> Run:
    """Compute the low and the high result; op_sel picks each source's half for the low one."""
    function, count = _FUNCTIONS[found.mnemonic]
    register = vector_destination(found, 2)
    selects = (_bits(found, "op_sel", 0, count), _bits(found, "op_sel_hi", 1, count))
    signs = (_bits(found, "neg_lo", 0, count), _bits(found, "neg_hi", 0, count))
    sources = found.operands[1 : 1 + count]
    halves = []
    for select, sign in zip(selects, signs, strict=True):
        parts = [_half(found, operand, select[i], sign[i]) for i, operand in enumerate(sources)]
        shadow = lane_shadow([piece for part in parts for piece in part[1]])
        halves.append(([part[0] for part in parts], shadow))

    def run(wave: Wave) -> None:
        results = [
            (result_float(wave, found, function(*[read(wave) for read in reads])), shadow(wave))
            for reads, shadow in halves
        ]
        for offset, (data, undefined) in enumerate(results):
            wave.put_f32(register + offset, data, undefined)

    return run


@instruction("v_pk_mov_b32", modifiers="op_sel")
def _moves(found: Instruction) -> Run:
    """Copy a half of the first source, then one of the second; op_sel picks each source's half."""
    register = vector_destination(found, 2)
    parts = [
        _part(found, operand, high)
        for operand, high in zip(found.operands[1:3], _bits(found, "op_sel", 0, 2), strict=True)
    ]
    moves = [(plain32(found, part), byte_shadow(part)) for part in parts]

    def run(wave: Wave) -> None:
        # Copied before the first write: a pair may be its own source, halves exchanged.
        values = [(read(wave).copy(), shadow(wave)) for read, shadow in moves]
        for offset, (data, shadow) in enumerate(values):
            wave.put(register + offset, data, 0)
            wave.mark(register + offset, shadow)

    return run


def _part(found: Instruction, operand: Operand, high: int) -> Operand:
    """One half of a 64-bit source as an operand of its own."""
    if operand.kind not in ("v", "s"):
        if high:
            raise found.unsupported("high half of a constant is not modelled")
        return operand
    if operand.count != 2:
        raise found.unsupported(f"packed source {operand.text}")
    return replace(operand, index=operand.index + high, count=1)
