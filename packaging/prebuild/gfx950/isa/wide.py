"""Vector integer instructions on 64 bits a lane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import I64, Any32, Lanes, every_lane, mask_of
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.isa.registry import Run, family, instruction
from prebuild.gfx950.isa.shapes import Vector, sources_of
from prebuild.gfx950.isa.sources import (
    byte_shadow,
    half_of,
    lane_shadow,
    lanes32,
    lanes64,
    plain32,
    put64,
    set_scalar64,
    shadows64,
    vector_destination,
)
from prebuild.gfx950.wave import Wave


@instruction("v_mov_b64")
def _mov(found: Instruction) -> Run:
    """Copy 64 bits; the shadow goes along byte by byte."""
    register = vector_destination(found, 2)
    (source,) = sources_of(found, 1)
    read = lanes64(found, source, 0)
    low, high = (byte_shadow(half_of(source, which)) for which in range(2))

    def run(wave: Wave) -> None:
        shadows = low(wave), high(wave)
        put64(wave, register, read(wave), 0, 0)
        wave.mark(register, shadows[0])
        wave.mark(register + 1, shadows[1])

    return run


@instruction("v_lshl_add_u64")
def _lshl_add(found: Instruction) -> Run:
    """Shift source 0 left by source 1 (modulo 8) and add source 2."""
    register = vector_destination(found, 2)
    number, by, addition = sources_of(found, 3)
    base, addend = lanes64(found, number, 0), lanes64(found, addition, 2)
    shift = lanes32(found, by, 1)
    low, high = shadows64((number, by, addition))

    def run(wave: Wave) -> None:
        amount = np.asarray(shift(wave) & np.uint32(7)).astype(np.int64)
        put64(wave, register, (base(wave) << amount) + addend(wave), low(wave), high(wave))

    return run


def _logical_right(data: I64, amount: I64) -> I64:
    return (np.asarray(data).astype(np.uint64) >> amount.astype(np.uint64)).view(np.int64)


_LEFT: dict[str, Vector] = {"v_lshlrev_b64": lambda data, amount: data << amount}
_RIGHT: dict[str, Vector] = {
    "v_lshrrev_b64": _logical_right,
}


def _shift(found: Instruction, function: Vector, *, to_low: bool) -> Run:
    """Shift source 1 by source 0 (modulo 64); ``to_low``: the high dword moves into the low one."""
    register = vector_destination(found, 2)
    by, number = sources_of(found, 2)
    shift, data = lanes32(found, by, 0), lanes64(found, number, 1)
    low, high = shadows64((by, number))

    def run(wave: Wave) -> None:
        amount = np.asarray(shift(wave) & np.uint32(63)).astype(np.int64)
        marks = high(wave)
        result = function(data(wave), amount)
        put64(wave, register, result, marks if to_low else low(wave), marks)

    return run


@family(_LEFT)
def _shift_left(found: Instruction, function: Vector) -> Run:
    return _shift(found, function, to_low=False)


@family(_RIGHT)
def _shift_right(found: Instruction, function: Vector) -> Run:
    return _shift(found, function, to_low=True)


Carry = Callable[[I64, I64, I64], Lanes]


def _unsigned_product(left: Any32, right: Any32) -> I64:
    return every_lane(left.astype(np.uint64) * right.astype(np.uint64)).view(np.int64)


def _unsigned_carry(term: I64, base: I64, total: I64) -> Lanes:
    return total.view(np.uint64) < term.view(np.uint64)


_MULTIPLY: dict[str, tuple[Vector, Carry]] = {
    "v_mad_u64_u32": (_unsigned_product, _unsigned_carry),
}


@family(_MULTIPLY)
def _mad(found: Instruction, entry: tuple[Vector, Carry]) -> Run:
    """Multiply two 32-bit sources and add a 64-bit one; bit 64 of each lane to an SGPR pair."""
    product, carry_of = entry
    register = vector_destination(found, 2)
    put_carry = set_scalar64(found, found.operands[1])
    sources = sources_of(found, 3, first=2)
    left, right = (plain32(found, operand) for operand in sources[:2])
    addend = lanes64(found, sources[2], 2)
    low, high = lane_shadow([*sources[:2], half_of(sources[2], 0)]), lane_shadow(sources)

    def run(wave: Wave) -> None:
        term, base = product(left(wave), right(wave)), every_lane(addend(wave))
        total = term + base
        out, undefined = mask_of(carry_of(term, base, total)), high(wave)
        put64(wave, register, total, low(wave), undefined)
        put_carry(wave, out & wave.exec, undefined & wave.exec)

    return run
