"""Vector integer and bit instructions on 32 bits a lane."""

from __future__ import annotations

import numpy as np

from prebuild.gfx950.arrays import Any32, lanes_of
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.isa.registry import Run, Traits, family, instruction
from prebuild.gfx950.isa.shapes import Vector, per_lane, sources_of
from prebuild.gfx950.isa.sources import (
    byte_shadow,
    lane_shadow,
    lanes32,
    vector_destination,
)
from prebuild.gfx950.wave import Wave

_SELECTS = Traits(selects=True)
FIVE = np.uint32(31)


def _signed(data: Any32) -> Any32:
    return data.view(np.int32)


def _unsigned(data: Any32) -> Any32:
    return data.view(np.uint32)


def _reversed_bits(data: Any32) -> Any32:
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        low = np.uint32(mask)
        data = ((data >> np.uint32(shift)) & low) | ((data & low) << np.uint32(shift))
    turned: Any32 = (data >> np.uint32(16)) | (data << np.uint32(16))
    return turned


def _field(data: Any32, offset: Any32, width: Any32) -> Any32:
    bits = (np.uint32(1) << (width & FIVE)) - np.uint32(1)
    field: Any32 = (data >> (offset & FIVE)) & bits
    return field


def _signed_field(data: Any32, offset: Any32, width: Any32) -> Any32:
    field = _field(data, offset, width)
    count = width & FIVE
    sign = np.where(count == 0, np.uint32(0), np.uint32(1) << ((count - np.uint32(1)) & FIVE))
    return (field ^ sign) - sign


def _mul24(left: Any32, right: Any32) -> Any32:
    low = np.uint32(0xFFFFFF)
    return (left & low) * (right & low)


_ONE: dict[str, Vector] = {
    "v_not_b32": lambda a: ~a,
    "v_bfrev_b32": _reversed_bits,
}
_TWO: dict[str, Vector] = {
    "v_add_u32": lambda a, b: a + b,
    "v_sub_u32": lambda a, b: a - b,
    "v_subrev_u32": lambda a, b: b - a,
    "v_and_b32": lambda a, b: a & b,
    "v_or_b32": lambda a, b: a | b,
    "v_xor_b32": lambda a, b: a ^ b,
    "v_lshlrev_b32": lambda a, b: b << (a & FIVE),
    "v_lshrrev_b32": lambda a, b: b >> (a & FIVE),
    "v_ashrrev_i32": lambda a, b: _unsigned(_signed(b) >> _signed(a & FIVE)),
    "v_mul_lo_u32": lambda a, b: a * b,
    "v_mul_u32_u24": _mul24,
}
_THREE: dict[str, Vector] = {
    "v_add3_u32": lambda a, b, c: a + b + c,
    "v_or3_b32": lambda a, b, c: a | b | c,
    "v_and_or_b32": lambda a, b, c: (a & b) | c,
    "v_lshl_or_b32": lambda a, b, c: (a << (b & FIVE)) | c,
    "v_lshl_add_u32": lambda a, b, c: (a << (b & FIVE)) + c,
    "v_add_lshl_u32": lambda a, b, c: (a + b) << (c & FIVE),
    "v_bfe_u32": _field,
    "v_bfe_i32": _signed_field,
    "v_bfi_b32": lambda a, b, c: (a & b) | (~a & c),
}


@family(_ONE, traits=_SELECTS)
def _one(found: Instruction, function: Vector) -> Run:
    """Map one source."""
    return per_lane(found, function, sources_of(found, 1), read=lanes32)


@family(_TWO, traits=_SELECTS)
def _two(found: Instruction, function: Vector) -> Run:
    """Map two sources."""
    return per_lane(found, function, sources_of(found, 2), read=lanes32)


@family(_THREE)
def _three(found: Instruction, function: Vector) -> Run:
    """Map three sources."""
    return per_lane(found, function, sources_of(found, 3), read=lanes32)


@instruction(
    "v_mov_b32", "v_accvgpr_read_b32", "v_accvgpr_write_b32", "v_accvgpr_mov_b32", traits=_SELECTS
)
def _move(found: Instruction) -> Run:
    """Copy 32 bits; the shadow goes along byte by byte."""
    (source,) = sources_of(found, 1)
    if found.form == "sdwa":
        return per_lane(found, lambda a: a, (source,), read=lanes32)
    register = vector_destination(found)
    read, shadow = lanes32(found, source, 0), byte_shadow(source)

    def run(wave: Wave) -> None:
        wave.put(register, read(wave), 0)
        wave.mark(register, shadow(wave))

    return run


@instruction("v_perm_b32")
def _perm(found: Instruction) -> Run:
    """Pick four bytes of ``{source 0, source 1}`` (0 to 3 are source 1's), or constants."""

    def permute(high: Any32, low: Any32, select: Any32) -> Any32:
        both = np.broadcast_to(
            (high.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64), (64,)
        )
        result = np.zeros(64, np.uint64)
        for byte in range(4):
            choice = ((select >> np.uint32(8 * byte)) & np.uint32(0xFF)).astype(np.uint64)
            if (choice > 12).any() or ((choice > 7) & (choice < 12)).any():
                _reject_perm(found, choice)
            picked = (both >> ((choice & np.uint64(7)) * np.uint64(8))) & np.uint64(0xFF)
            picked = np.where(choice == 12, np.uint64(0), picked)
            result |= picked << np.uint64(8 * byte)
        return result.astype(np.uint32)

    return per_lane(found, permute, sources_of(found, 3), read=lanes32)


def _reject_perm(found: Instruction, choice: Any32) -> None:
    if ((choice > 7) & (choice < 12)).any():
        raise found.unsupported("v_perm_b32 selector 8 to 11 (sign of a byte) is not modelled")
    if (choice > 12).any():
        raise found.unsupported("v_perm_b32 selector above 12 is not modelled")


@instruction("v_bitop3_b32", traits=Traits(modifiers="bitop3"))
def _bitop3(found: Instruction) -> Run:
    """Apply the truth table: bit ``4*a + 2*b + c`` of it is the result."""
    table = int(found.modifiers.get("bitop3", "0"), 0)

    def apply(a: Any32, b: Any32, c: Any32) -> Any32:
        result = np.zeros(64, np.uint32)
        for row in range(8):
            if table >> row & 1:
                term = a if row & 4 else ~a
                term = term & (b if row & 2 else ~b)
                result = result | (term & (c if row & 1 else ~c))
        return result

    return per_lane(found, apply, sources_of(found, 3), read=lanes32)


@instruction("v_cndmask_b32", traits=_SELECTS)
def _cndmask(found: Instruction) -> Run:
    """Choose source 1 where the mask has the lane's bit, else source 0."""
    register = vector_destination(found)
    *sources, mask = sources_of(found, 3)
    false, true = (lanes32(found, operand, at) for at, operand in enumerate(sources))
    index = mask.index
    if mask.kind != "s" or mask.count != 2:
        raise found.unsupported(f"mask {mask.text}, expected a pair of SGPRs")
    false_shadow, true_shadow = (lane_shadow([operand]) for operand in sources)

    def run(wave: Wave) -> None:
        bits = wave.get64(index)
        undefined = (false_shadow(wave) & ~bits) | (true_shadow(wave) & bits)
        undefined |= wave.su[index] | wave.su[index + 1] << 32
        wave.put(register, np.where(lanes_of(bits), true(wave), false(wave)), undefined)

    return run
