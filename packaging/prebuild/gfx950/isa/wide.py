"""Vector integer instructions on 64 bits a lane."""

from __future__ import annotations

import numpy as np

from prebuild.gfx950.arrays import every_lane, mask_of
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.isa.registry import Run, instruction
from prebuild.gfx950.isa.shapes import sources_of
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


@instruction("v_lshlrev_b64")
def _shift_left(found: Instruction) -> Run:
    """Shift source 1 left by source 0 (modulo 64)."""
    register = vector_destination(found, 2)
    by, number = sources_of(found, 2)
    shift, data = lanes32(found, by, 0), lanes64(found, number, 1)
    low, high = shadows64((by, number))

    def run(wave: Wave) -> None:
        amount = np.asarray(shift(wave) & np.uint32(63)).astype(np.int64)
        put64(wave, register, data(wave) << amount, low(wave), high(wave))

    return run


@instruction("v_mad_u64_u32")
def _mad(found: Instruction) -> Run:
    """Multiply two 32-bit sources and add a 64-bit one; bit 64 of each lane to an SGPR pair."""
    register = vector_destination(found, 2)
    put_carry = set_scalar64(found, found.operands[1])
    sources = sources_of(found, 3, first=2)
    left, right = (plain32(found, operand) for operand in sources[:2])
    addend = lanes64(found, sources[2], 2)
    low, high = lane_shadow([*sources[:2], half_of(sources[2], 0)]), lane_shadow(sources)

    def run(wave: Wave) -> None:
        product = left(wave).astype(np.uint64) * right(wave).astype(np.uint64)
        total = every_lane(product).view(np.int64) + every_lane(addend(wave))
        # The sum went beyond 64 bits where it is below one of its terms.
        carries = total.view(np.uint64) < product
        out, undefined = mask_of(carries), high(wave)
        put64(wave, register, total, low(wave), undefined)
        put_carry(wave, out & wave.exec, undefined & wave.exec)

    return run
