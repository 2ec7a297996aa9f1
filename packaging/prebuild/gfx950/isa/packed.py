"""Packed 32-bit instructions: two operations on pairs of registers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import F32
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.floats import flush, fma32
from prebuild.gfx950.isa.registry import Run, Traits, family, instruction
from prebuild.gfx950.isa.shapes import float_result, sources_of
from prebuild.gfx950.isa.sources import (
    Scalar,
    bits32,
    byte_shadow,
    half_of,
    lane_shadow,
    plain32,
    vector_destination,
)
from prebuild.gfx950.wave import Wave

Function = Callable[..., F32]
_FUNCTIONS: dict[str, tuple[Function, int]] = {
    "v_pk_mul_f32": (lambda a, b: a * b, 2),
    "v_pk_add_f32": (lambda a, b: a + b, 2),
    "v_pk_fma_f32": (fma32, 3),
}


def _bits(found: Instruction, name: str, default: int, count: int) -> list[int]:
    text = found.modifiers.get(name)
    if text is None:
        return [default] * count
    return [int(part) for part in text.strip("[]").split(",")][:count]


def _half(found: Instruction, operand: Operand, high: int, negate: int) -> Callable[[Wave], F32]:
    """Return the reader of one half of a pair."""
    sign = np.float32(-1 if negate else 1)
    part = _part(found, operand, high)
    if part.kind in ("v", "s"):
        raw = plain32(found, part)

        def read(wave: Wave) -> F32:
            data: F32 = raw(wave).view(np.float32)
            signed: F32 = sign * (data if wave.denorm32 & 1 else flush(data))
            return signed

        return read
    constant = np.uint32(bits32(found, operand)).view(np.float32)
    scaled = np.full(64, sign * constant, np.float32)
    return lambda wave: scaled


@family(_FUNCTIONS, traits=Traits(modifiers="op_sel op_sel_hi neg_lo neg_hi"))
def _packed(found: Instruction, entry: tuple[Function, int]) -> Run:
    """Compute the low and the high result; op_sel picks each source's half for the low one."""
    function, count = entry
    register = vector_destination(found, 2)
    selects = (_bits(found, "op_sel", 0, count), _bits(found, "op_sel_hi", 1, count))
    signs = (_bits(found, "neg_lo", 0, count), _bits(found, "neg_hi", 0, count))
    sources, finish = sources_of(found, count), float_result(found)
    halves: list[tuple[list[Callable[[Wave], F32]], Scalar]] = []
    for select, sign in zip(selects, signs, strict=True):
        reads = [_half(found, operand, select[i], sign[i]) for i, operand in enumerate(sources)]
        parts = [half_of(operand, select[i]) for i, operand in enumerate(sources)]
        halves.append((reads, lane_shadow(parts)))

    def run(wave: Wave) -> None:
        results = [
            (finish(wave, function(*[read(wave) for read in reads])), shadow(wave))
            for reads, shadow in halves
        ]
        for offset, (data, undefined) in enumerate(results):
            wave.put_f32(register + offset, data, undefined)

    return run


@instruction("v_pk_mov_b32", traits=Traits(modifiers="op_sel"))
def _moves(found: Instruction) -> Run:
    """Copy a half of the first source, then one of the second; op_sel picks each source's half."""
    register = vector_destination(found, 2)
    selects = _bits(found, "op_sel", 0, 2)
    sources = zip(sources_of(found, 2), selects, strict=True)
    parts = [_part(found, operand, high) for operand, high in sources]
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
    if operand.kind in ("v", "s") and operand.count != 2:
        raise found.unsupported(f"packed source {operand.text}")
    if operand.kind not in ("v", "s") and high:
        raise found.unsupported("high half of a constant is not modelled")
    return half_of(operand, high)
