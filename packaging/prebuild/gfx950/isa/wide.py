"""Vector integer instructions on 64 bits a lane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prebuild.gfx950.arrays import ALL, every_lane, mask_of
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.isa.registry import Run, instruction
from prebuild.gfx950.isa.sources import (
    byte_shadow,
    lanes32,
    lanes64,
    plain32,
    put64,
    shadows64,
    upper_half,
    vector_destination,
)
from prebuild.gfx950.wave import Wave


@instruction("v_mov_b64")
def _mov(found: Instruction) -> Run:
    """Copy 64 bits; the shadow goes along byte by byte."""
    register = vector_destination(found, 2)
    source = found.operands[1]
    read = lanes64(found, source)
    low, high = byte_shadow(replace(source, count=1)), byte_shadow(upper_half(source))

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
    base, addend = lanes64(found, found.operands[1]), lanes64(found, found.operands[3])
    shift = lanes32(found, 1)
    low, high = shadows64(found.operands[1:])

    def run(wave: Wave) -> None:
        amount = np.asarray(shift(wave) & np.uint32(7)).astype(np.int64)
        put64(wave, register, (base(wave) << amount) + addend(wave), low(wave), high(wave))

    return run


@instruction("v_lshlrev_b64", "v_lshrrev_b64", "v_ashrrev_i64")
def _shift(found: Instruction) -> Run:
    """Shift source 1 by source 0 (modulo 64)."""
    register = vector_destination(found, 2)
    shift, data = lanes32(found, 0), lanes64(found, found.operands[2])
    low, high = shadows64(found.operands[1:])
    name = found.mnemonic
    if not name.startswith("v_lshlrev"):
        low = high

    def run(wave: Wave) -> None:
        amount = np.asarray(shift(wave) & np.uint32(63)).astype(np.int64)
        value = data(wave)
        if name.startswith("v_lshlrev"):
            result = value << amount
        elif name.startswith("v_ashrrev"):
            result = value >> amount
        else:
            wide = np.asarray(value).astype(np.uint64) >> amount.astype(np.uint64)
            result = wide.view(np.int64)
        put64(wave, register, result, low(wave), high(wave))

    return run


@instruction("v_mad_u64_u32", "v_mad_i64_i32")
def _mad(found: Instruction) -> Run:
    """Multiply two 32-bit sources and add a 64-bit one; carry of each lane to an SGPR pair."""
    register = vector_destination(found, 2)
    carry = found.operands[1].index
    left, right = (plain32(found, operand) for operand in found.operands[2:4])
    addend = lanes64(found, found.operands[4])
    low, high = shadows64(found.operands[2:])
    signed = "i64" in found.mnemonic

    def run(wave: Wave) -> None:
        first, second = left(wave), right(wave)
        if signed:
            product = first.view(np.int32).astype(np.int64) * second.view(np.int32).astype(np.int64)
            term = every_lane(product)
        else:
            wide = first.astype(np.uint64) * second.astype(np.uint64)
            term = every_lane(wide).view(np.int64)
        base = every_lane(addend(wave))
        total = term + base
        out = _carry_out(term, base, total, signed=signed)
        undefined = high(wave)
        put64(wave, register, total, low(wave), undefined)
        wave.set_pair(carry, out & wave.exec, undefined & wave.exec)

    return run


def _carry_out(term: object, base: object, total: object, *, signed: bool) -> int:
    first, second, result = (np.asarray(part) for part in (term, base, total))
    if signed:
        return mask_of(((first ^ result) & (second ^ result)) < 0)
    wide = [part.astype(np.uint64) for part in (first, result)]
    return mask_of(wide[1] < wide[0]) & ALL
