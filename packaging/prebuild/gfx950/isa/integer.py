"""Vector integer and bit instructions on 32 bits a lane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import ALL, M32, U32, Any32, every_lane, lanes_of, mask_of
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.isa.registry import Run, instruction
from prebuild.gfx950.isa.sources import (
    byte_shadow,
    lane_shadow,
    lanes32,
    plain32,
    scalar32,
    shadow32,
    vector_destination,
)
from prebuild.gfx950.wave import BYTES, Wave, any_byte

Function = Callable[..., Any32]
FIVE = np.uint32(31)


def _signed(data: Any32) -> Any32:
    return data.view(np.int32)


def _unsigned(data: Any32) -> Any32:
    return data.view(np.uint32)


def _mul24(left: Any32, right: Any32) -> Any32:
    mask = np.uint32(0xFFFFFF)
    return (left & mask) * (right & mask)


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


def _mul_high(left: Any32, right: Any32) -> Any32:
    return ((left.astype(np.uint64) * right.astype(np.uint64)) >> np.uint64(32)).astype(np.uint32)


def _mul_high_signed(left: Any32, right: Any32) -> Any32:
    product = _signed(left).astype(np.int64) * _signed(right).astype(np.int64)
    return (product >> np.int64(32)).astype(np.int32).view(np.uint32)


_ONE: dict[str, Function] = {
    "v_not_b32": lambda a: ~a,
    "v_bfrev_b32": _reversed_bits,
}
_TWO: dict[str, Function] = {
    "v_add_u32": lambda a, b: a + b,
    "v_sub_u32": lambda a, b: a - b,
    "v_subrev_u32": lambda a, b: b - a,
    "v_and_b32": lambda a, b: a & b,
    "v_or_b32": lambda a, b: a | b,
    "v_xor_b32": lambda a, b: a ^ b,
    "v_xnor_b32": lambda a, b: ~(a ^ b),
    "v_lshlrev_b32": lambda a, b: b << (a & FIVE),
    "v_lshrrev_b32": lambda a, b: b >> (a & FIVE),
    "v_ashrrev_i32": lambda a, b: _unsigned(_signed(b) >> _signed(a & FIVE)),
    "v_mul_lo_u32": lambda a, b: a * b,
    "v_mul_hi_u32": _mul_high,
    "v_mul_hi_i32": _mul_high_signed,
    "v_mul_u32_u24": _mul24,
    "v_min_u32": np.minimum,
    "v_max_u32": np.maximum,
    "v_min_i32": lambda a, b: _unsigned(np.minimum(_signed(a), _signed(b))),
    "v_max_i32": lambda a, b: _unsigned(np.maximum(_signed(a), _signed(b))),
}
_THREE: dict[str, Function] = {
    "v_add3_u32": lambda a, b, c: a + b + c,
    "v_or3_b32": lambda a, b, c: a | b | c,
    "v_and_or_b32": lambda a, b, c: (a & b) | c,
    "v_lshl_or_b32": lambda a, b, c: (a << (b & FIVE)) | c,
    "v_lshl_add_u32": lambda a, b, c: (a << (b & FIVE)) + c,
    "v_add_lshl_u32": lambda a, b, c: (a + b) << (c & FIVE),
    "v_xad_u32": lambda a, b, c: (a ^ b) + c,
    "v_mad_u32_u24": lambda a, b, c: _mul24(a, b) + c,
    "v_bfe_u32": _field,
    "v_bfe_i32": _signed_field,
    "v_bfi_b32": lambda a, b, c: (a & b) | (~a & c),
    "v_alignbit_b32": lambda a, b, c: _aligned(a, b, c & FIVE),
    "v_alignbyte_b32": lambda a, b, c: _aligned(a, b, (c & np.uint32(3)) * np.uint32(8)),
}


def _aligned(high: Any32, low: Any32, shift: Any32) -> Any32:
    both = (high.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64)
    return (both >> np.asarray(shift).astype(np.uint64)).astype(np.uint32)


def vector(found: Instruction, function: Function, count: int) -> Run:
    """Build an instruction that maps ``count`` 32-bit sources to one 32-bit result a lane."""
    register = vector_destination(found)
    if len(found.operands) != count + 1:
        raise found.unsupported(f"expected {count} sources")
    reads = [lanes32(found, position) for position in range(count)]
    shadow = moved_shadow(found, found.operands[1:])
    if count == 1:
        only = reads[0]

        def run1(wave: Wave) -> None:
            wave.put(register, function(only(wave)), shadow(wave))

        return run1
    if count == 2:
        first, second = reads

        def run2(wave: Wave) -> None:
            wave.put(register, function(first(wave), second(wave)), shadow(wave))

        return run2
    left, middle, right = reads

    def run3(wave: Wave) -> None:
        wave.put(register, function(left(wave), middle(wave), right(wave)), shadow(wave))

    return run3


def moved_shadow(found: Instruction, operands: tuple[Operand, ...]) -> Callable[[Wave], int]:
    """Return the shadow of the sources; a lane move spreads it to every lane."""
    shadow = lane_shadow(operands)
    if found.mnemonic.endswith("_dpp"):
        return lambda wave: ALL if shadow(wave) else 0
    return shadow


def _enter(table: dict[str, Function], count: int) -> None:
    for mnemonic, function in table.items():
        instruction(mnemonic)(_builder(function, count))


def _builder(function: Function, count: int) -> Callable[[Instruction], Run]:
    return lambda found: vector(found, function, count)


_enter(_ONE, 1)
_enter(_TWO, 2)
_enter(_THREE, 3)


@instruction("v_mov_b32", "v_accvgpr_read_b32", "v_accvgpr_write_b32", "v_accvgpr_mov_b32")
def _move(found: Instruction) -> Run:
    """Copy 32 bits; the shadow goes along byte by byte."""
    if found.mnemonic.endswith(("_dpp", "_sdwa")):
        return vector(found, lambda a: a, 1)
    register = vector_destination(found)
    read, shadow = lanes32(found, 0), byte_shadow(found.operands[1])

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

    return vector(found, permute, 3)


def _reject_perm(found: Instruction, choice: Any32) -> None:
    if ((choice > 7) & (choice < 12)).any():
        raise found.unsupported("v_perm_b32 selector 8 to 11 (sign of a byte) is not modelled")
    if (choice > 12).any():
        raise found.unsupported("v_perm_b32 selector above 12 is not modelled")


@instruction("v_bitop3_b32", modifiers="bitop3")
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

    return vector(found, apply, 3)


@instruction("v_cndmask_b32")
def _cndmask(found: Instruction) -> Run:
    """Choose source 1 where the mask has the lane's bit, else source 0."""
    register = vector_destination(found)
    false, true = lanes32(found, 0), lanes32(found, 1)
    mask = found.operands[3]
    index = mask.index
    if mask.kind != "s" or mask.count != 2:
        raise found.unsupported("v_cndmask_b32 without a mask register")
    false_shadow = lane_shadow(found.operands[1:2])
    true_shadow = lane_shadow(found.operands[2:3])

    def run(wave: Wave) -> None:
        bits = wave.get64(index)
        undefined = (false_shadow(wave) & ~bits) | (true_shadow(wave) & bits)
        undefined |= wave.su[index] | wave.su[index + 1] << 32
        wave.put(register, np.where(lanes_of(bits), true(wave), false(wave)), undefined)

    return run


@instruction("v_readfirstlane_b32")
def _readfirstlane(found: Instruction) -> Run:
    """Copy the first active lane (lane 0 where none is) to an SGPR."""
    target, source = found.operands
    if target.kind != "s" or source.kind != "v":
        raise found.unsupported("v_readfirstlane_b32 needs an SGPR and a VGPR")
    register, index = target.index, source.index

    def run(wave: Wave) -> None:
        lane = int(wave.active[0]) if wave.active.size else 0
        wave.s[register] = int(wave.rows[index][lane])
        wave.su[register] = M32 if any_byte(wave.vu[index]) >> lane & 1 else 0

    return run


@instruction("v_readlane_b32")
def _readlane(found: Instruction) -> Run:
    """Copy one lane, whether it is active or not, to an SGPR."""
    target, source, select = found.operands
    lane_of = scalar32(found, select)
    register, index = target.index, source.index

    def run(wave: Wave) -> None:
        lane = lane_of(wave) & 63
        wave.s[register] = int(wave.rows[index][lane])
        wave.su[register] = M32 if any_byte(wave.vu[index]) >> lane & 1 else 0

    return run


@instruction("v_writelane_b32")
def _writelane(found: Instruction) -> Run:
    """Write one lane of a VGPR, whether it is active or not."""
    register = vector_destination(found)
    value, lane_of = scalar32(found, found.operands[1]), scalar32(found, found.operands[2])
    shadow = shadow32(found.operands[1])

    def run(wave: Wave) -> None:
        lane = lane_of(wave) & 63
        wave.rows[register][lane] = value(wave)
        undefined = BYTES << lane if shadow(wave) else 0
        wave.vu[register] = (wave.vu[register] & ~(BYTES << lane)) | undefined

    return run


@instruction("v_mbcnt_lo_u32_b32", "v_mbcnt_hi_u32_b32")
def _mbcnt(found: Instruction) -> Run:
    """Count the mask's bits below the lane's own, in this half of the wave, and add source 1."""
    high = "_hi_" in found.mnemonic
    lane = np.arange(64)
    own = lane - 32 if high else lane
    below = np.array([(1 << min(max(place, 0), 32)) - 1 for place in own.tolist()], np.uint64)

    def count(mask: Any32, base: Any32) -> Any32:
        bits = every_lane(mask.astype(np.uint64)) & below
        ones = np.array([int(value).bit_count() for value in bits.tolist()], np.uint32)
        return ones + base

    return vector(found, count, 2)


@instruction("v_add_co_u32", "v_sub_co_u32", "v_subrev_co_u32", "v_addc_co_u32", "v_subb_co_u32")
def _carry(found: Instruction) -> Run:
    """Add or subtract with the carry of each lane in a pair of SGPRs."""
    register = vector_destination(found)
    carry = found.operands[1].index
    left, right = (plain32(found, operand) for operand in found.operands[2:4])
    chained = len(found.operands) > 4
    carry_in = found.operands[4].index if chained else 0
    shadow = lane_shadow(found.operands[2:])
    sign = -1 if "sub" in found.mnemonic else 1
    swap = "subrev" in found.mnemonic

    def run(wave: Wave) -> None:
        first, second = left(wave), right(wave)
        if swap:
            first, second = second, first
        extra = lanes_of(wave.get64(carry_in)).astype(np.int64) if chained else np.int64(0)
        total = first.astype(np.int64) + sign * (second.astype(np.int64) + extra)
        undefined = shadow(wave)
        out = mask_of(every_lane((total < 0) | (total > M32)))
        wave.put(register, _low(total), undefined)
        wave.set_pair(carry, out & wave.exec, undefined & wave.exec)

    return run


def _low(total: Any32) -> U32:
    return np.asarray(total).astype(np.uint64).astype(np.uint32)
