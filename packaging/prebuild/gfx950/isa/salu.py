"""Scalar instructions: integers, masks, moves.  SCC follows the ISA document."""

from __future__ import annotations

from collections.abc import Callable

from prebuild.gfx950.arrays import ALL, M32, signed32, signed64
from prebuild.gfx950.disassembly import EXEC, Instruction
from prebuild.gfx950.errors import UndefinedValue
from prebuild.gfx950.isa.registry import Run, instruction
from prebuild.gfx950.isa.sources import (
    scalar32,
    scalar64,
    set_scalar32,
    shadow32,
    shadow64,
)
from prebuild.gfx950.wave import Wave

Result = tuple[int, int | None]
"""Value and new SCC (None: SCC stays)."""
Binary = Callable[[int, int], Result]


def _overflow(value: int) -> int:
    return int(not -(1 << 31) <= value < 1 << 31)


def _nonzero(value: int) -> Result:
    return value, int(value != 0)


_TWO32: dict[str, Binary] = {
    "s_add_u32": lambda a, b: (a + b, (a + b) >> 32 & 1),
    "s_add_i32": lambda a, b: (a + b, _overflow(signed32(a) + signed32(b))),
    "s_sub_u32": lambda a, b: (a - b, int(b > a)),
    "s_sub_i32": lambda a, b: (a - b, _overflow(signed32(a) - signed32(b))),
    "s_mul_i32": lambda a, b: (a * b, None),
    "s_mul_hi_u32": lambda a, b: (a * b >> 32, None),
    "s_mul_hi_i32": lambda a, b: (signed32(a) * signed32(b) >> 32, None),
    "s_lshl_b32": lambda a, b: _nonzero(a << (b & 31) & M32),
    "s_lshr_b32": lambda a, b: _nonzero(a >> (b & 31)),
    "s_ashr_i32": lambda a, b: _nonzero(signed32(a) >> (b & 31) & M32),
    "s_min_i32": lambda a, b: (min(signed32(a), signed32(b)), int(signed32(a) < signed32(b))),
    "s_max_i32": lambda a, b: (max(signed32(a), signed32(b)), int(signed32(a) > signed32(b))),
    "s_min_u32": lambda a, b: (min(a, b), int(a < b)),
    "s_max_u32": lambda a, b: (max(a, b), int(a > b)),
    "s_bfe_u32": lambda a, b: _nonzero(a >> (b & 31) & ((1 << (b >> 16 & 127)) - 1)),
    "s_bfe_i32": lambda a, b: _nonzero(_signed_field(a, b & 31, b >> 16 & 127)),
    "s_lshl1_add_u32": lambda a, b: _shift_add(a, b, 1),
    "s_lshl2_add_u32": lambda a, b: _shift_add(a, b, 2),
    "s_lshl3_add_u32": lambda a, b: _shift_add(a, b, 3),
    "s_lshl4_add_u32": lambda a, b: _shift_add(a, b, 4),
    "s_pack_ll_b32_b16": lambda a, b: ((a & 0xFFFF) | (b & 0xFFFF) << 16, None),
}


def _signed_field(value: int, offset: int, width: int) -> int:
    field = value >> offset & ((1 << width) - 1)
    sign = 1 << width >> 1
    return (field ^ sign) - sign & M32


def _shift_add(left: int, right: int, shift: int) -> Result:
    total = (left << shift) + right
    return total, int(total > M32)


@instruction(*_TWO32)
def _two32(found: Instruction) -> Run:
    """Apply a function of two dwords."""
    function = _TWO32[found.mnemonic]
    put = set_scalar32(found, found.operands[0])
    left, right = scalar32(found, found.operands[1]), scalar32(found, found.operands[2])
    first, second = shadow32(found.operands[1]), shadow32(found.operands[2])

    def run(wave: Wave) -> None:
        value, carry = function(left(wave), right(wave))
        undefined = bool(first(wave) | second(wave))
        put(wave, value, M32 if undefined else 0)
        if carry is not None:
            wave.scc, wave.scc_undefined = carry, undefined

    return run


@instruction("s_addc_u32", "s_subb_u32")
def _carry(found: Instruction) -> Run:
    """Add or subtract with SCC as carry."""
    put = set_scalar32(found, found.operands[0])
    left, right = scalar32(found, found.operands[1]), scalar32(found, found.operands[2])
    first, second = shadow32(found.operands[1]), shadow32(found.operands[2])
    add = found.mnemonic == "s_addc_u32"

    def run(wave: Wave) -> None:
        a, b = left(wave), right(wave)
        total = a + b + wave.scc if add else a - b - wave.scc
        undefined = bool(first(wave) | second(wave)) or wave.scc_undefined
        put(wave, total, M32 if undefined else 0)
        wave.scc, wave.scc_undefined = int(total > M32 or total < 0), undefined

    return run


_BITS: dict[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "andn2": lambda a, b: a & ~b,
    "orn2": lambda a, b: a | ~b,
    "nand": lambda a, b: ~(a & b),
    "nor": lambda a, b: ~(a | b),
    "xnor": lambda a, b: ~(a ^ b),
}


def _bits_shadow(name: str, a: int, b: int, first: int, second: int) -> int:
    """Return which result bits are undefined: a bit that one source decides alone is defined."""
    either = first | second
    if name in ("and", "nand"):
        return either & (a | first) & (b | second)
    if name == "andn2":
        return either & (a | first) & (~b | second)
    if name in ("or", "nor"):
        return either & (~a | first) & (~b | second)
    if name == "orn2":
        return either & (~a | first) & (b | second)
    return either


@instruction(*(f"s_{name}_b32" for name in _BITS), *(f"s_{name}_b64" for name in _BITS))
def _bits(found: Instruction) -> Run:
    """Apply a bitwise function; SCC says whether the result is not zero."""
    _, name, kind = found.mnemonic.split("_")
    function = _BITS[name]
    target = found.operands[0]
    wide = kind == "b64"
    read, shadow = (scalar64, shadow64) if wide else (scalar32, shadow32)
    left, right = read(found, found.operands[1]), read(found, found.operands[2])
    first, second = shadow(found.operands[1]), shadow(found.operands[2])
    mask = ALL if wide else M32
    put = None if wide else set_scalar32(found, target)

    def run(wave: Wave) -> None:
        a, b, fa, fb = left(wave), right(wave), first(wave), second(wave)
        value = function(a, b) & mask
        undefined = _bits_shadow(name, a, b, fa, fb) & mask if fa | fb else 0
        if put is None:
            wave.set_pair(target.index, value, undefined)
        else:
            put(wave, value, undefined)
        wave.scc, wave.scc_undefined = int(value != 0), undefined != 0

    return run


_SHIFT64: dict[str, Callable[[int, int], int]] = {
    "s_lshl_b64": lambda a, b: a << (b & 63) & ALL,
    "s_lshr_b64": lambda a, b: a >> (b & 63),
    "s_ashr_i64": lambda a, b: signed64(a) >> (b & 63) & ALL,
}


@instruction(*_SHIFT64)
def _shift64(found: Instruction) -> Run:
    """Shift a pair by a dword."""
    function, target = _SHIFT64[found.mnemonic], found.operands[0].index
    left, right = scalar64(found, found.operands[1]), scalar32(found, found.operands[2])
    first, second = shadow64(found.operands[1]), shadow32(found.operands[2])

    def run(wave: Wave) -> None:
        value = function(left(wave), right(wave))
        undefined = bool(first(wave) | second(wave))
        wave.set_pair(target, value, ALL if undefined else 0)
        wave.scc, wave.scc_undefined = int(value != 0), undefined

    return run


@instruction("s_mov_b32")
def _mov32(found: Instruction) -> Run:
    """Copy a dword."""
    put = set_scalar32(found, found.operands[0])
    read, shadow = scalar32(found, found.operands[1]), shadow32(found.operands[1])
    return lambda wave: put(wave, read(wave), shadow(wave))


@instruction("s_mov_b64")
def _mov64(found: Instruction) -> Run:
    """Copy a pair."""
    target = found.operands[0].index
    read, shadow = scalar64(found, found.operands[1]), shadow64(found.operands[1])
    return lambda wave: wave.set_pair(target, read(wave), shadow(wave))


@instruction("s_not_b32", "s_brev_b32", "s_bcnt1_i32_b32", "s_abs_i32", "s_sext_i32_i16")
def _one32(found: Instruction) -> Run:
    """Apply a function of one dword."""
    functions: dict[str, Callable[[int], int]] = {
        "s_not_b32": lambda a: ~a & M32,
        "s_brev_b32": lambda a: int(f"{a:032b}"[::-1], 2),
        "s_bcnt1_i32_b32": int.bit_count,
        "s_abs_i32": lambda a: abs(signed32(a)) & M32,
        "s_sext_i32_i16": lambda a: ((a & 0xFFFF ^ 0x8000) - 0x8000) & M32,
    }
    function = functions[found.mnemonic]
    keeps_scc = found.mnemonic in ("s_brev_b32", "s_sext_i32_i16")
    put = set_scalar32(found, found.operands[0])
    read, shadow = scalar32(found, found.operands[1]), shadow32(found.operands[1])

    def run(wave: Wave) -> None:
        value, undefined = function(read(wave)), shadow(wave)
        put(wave, value, M32 if undefined else 0)
        if not keeps_scc:
            wave.scc, wave.scc_undefined = int(value != 0), bool(undefined)

    return run


@instruction("s_ff1_i32_b32", "s_ff1_i32_b64", "s_bcnt1_i32_b64")
def _count(found: Instruction) -> Run:
    """Find the lowest bit that is set (all ones where none is), or count the bits of a pair."""
    wide = found.mnemonic.endswith("b64")
    read, shadow = (scalar64, shadow64) if wide else (scalar32, shadow32)
    source, undefined = read(found, found.operands[1]), shadow(found.operands[1])
    put = set_scalar32(found, found.operands[0])
    first = "ff1" in found.mnemonic

    def run(wave: Wave) -> None:
        value, marks = source(wave), undefined(wave)
        lowest = (value & -value).bit_length() - 1 if value else M32
        result = lowest if first else value.bit_count()
        put(wave, result, M32 if marks else 0)
        if not first:
            wave.scc, wave.scc_undefined = int(result != 0), bool(marks)

    return run


@instruction("s_not_b64")
def _not64(found: Instruction) -> Run:
    """Invert a pair."""
    target = found.operands[0].index
    read, shadow = scalar64(found, found.operands[1]), shadow64(found.operands[1])

    def run(wave: Wave) -> None:
        value, undefined = ~read(wave) & ALL, shadow(wave)
        wave.set_pair(target, value, undefined)
        wave.scc, wave.scc_undefined = int(value != 0), bool(undefined)

    return run


@instruction("s_cselect_b32", "s_cselect_b64")
def _cselect(found: Instruction) -> Run:
    """Choose by SCC."""
    wide = found.mnemonic.endswith("b64")
    read, shadow = (scalar64, shadow64) if wide else (scalar32, shadow32)
    yes, no = (read(found, operand) for operand in found.operands[1:3])
    yes_shadow, no_shadow = (shadow(operand) for operand in found.operands[1:3])
    target = found.operands[0]
    put = None if wide else set_scalar32(found, target)

    def run(wave: Wave) -> None:
        value = yes(wave) if wave.scc else no(wave)
        undefined = yes_shadow(wave) if wave.scc else no_shadow(wave)
        if wave.scc_undefined:
            undefined = ALL if wide else M32
        if put is None:
            wave.set_pair(target.index, value, undefined)
        else:
            put(wave, value, undefined)

    return run


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "lg": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


@instruction(
    *(f"s_cmp_{name}_{kind}" for name in _COMPARE for kind in ("i32", "u32")),
    "s_cmp_eq_u64",
    "s_cmp_lg_u64",
)
def _compare(found: Instruction) -> Run:
    """Set SCC."""
    _, _, name, kind = found.mnemonic.split("_")
    test = _COMPARE[name]
    read, shadow = (scalar64, shadow64) if kind == "u64" else (scalar32, shadow32)
    left, right = read(found, found.operands[0]), read(found, found.operands[1])
    first, second = shadow(found.operands[0]), shadow(found.operands[1])
    signed = kind == "i32"

    def run(wave: Wave) -> None:
        a, b = left(wave), right(wave)
        if signed:
            a, b = signed32(a), signed32(b)
        wave.scc = int(test(a, b))
        wave.scc_undefined = bool(first(wave) | second(wave))

    return run


@instruction("s_bitcmp0_b32", "s_bitcmp1_b32")
def _bitcmp(found: Instruction) -> Run:
    """Set SCC from one bit."""
    left, right = scalar32(found, found.operands[0]), scalar32(found, found.operands[1])
    first, second = shadow32(found.operands[0]), shadow32(found.operands[1])
    wanted = int(found.mnemonic[8])

    def run(wave: Wave) -> None:
        wave.scc = int(left(wave) >> (right(wave) & 31) & 1 == wanted)
        wave.scc_undefined = bool(first(wave) | second(wave))

    return run


@instruction("s_movk_i32", "s_addk_i32", "s_mulk_i32")
def _with_short(found: Instruction) -> Run:
    """Move, add or multiply a signed 16-bit constant."""
    put = set_scalar32(found, found.operands[0])
    old, shadow = scalar32(found, found.operands[0]), shadow32(found.operands[0])
    short = (int(found.operands[1].value) & 0xFFFF ^ 0x8000) - 0x8000
    name = found.mnemonic

    def run(wave: Wave) -> None:
        if name == "s_movk_i32":
            put(wave, short, 0)
            return
        undefined = shadow(wave)
        before = signed32(old(wave))
        value = before + short if name == "s_addk_i32" else before * short
        put(wave, value, M32 if undefined else 0)
        if name == "s_addk_i32":
            wave.scc, wave.scc_undefined = _overflow(value), bool(undefined)

    return run


@instruction(*(f"s_cmpk_{name}_{kind}" for name in _COMPARE for kind in ("i32", "u32")))
def _compare_short(found: Instruction) -> Run:
    """Compare with a 16-bit constant, signed or not, into SCC."""
    _, _, name, kind = found.mnemonic.split("_")
    test = _COMPARE[name]
    read, shadow = scalar32(found, found.operands[0]), shadow32(found.operands[0])
    short = int(found.operands[1].value) & 0xFFFF
    signed = kind == "i32"
    constant = (short ^ 0x8000) - 0x8000 if signed else short

    def run(wave: Wave) -> None:
        value = signed32(read(wave)) if signed else read(wave)
        wave.scc, wave.scc_undefined = int(test(value, constant)), bool(shadow(wave))

    return run


@instruction("s_and_saveexec_b64", "s_or_saveexec_b64", "s_andn2_saveexec_b64",
             "s_xor_saveexec_b64")  # fmt: skip
def _saveexec(found: Instruction) -> Run:
    """Save EXEC and combine it with a mask (andn2: the mask without the old EXEC)."""
    name = found.mnemonic.split("_")[1]
    target, source = found.operands
    read, shadow = scalar64(found, source), shadow64(source)

    def run(wave: Wave) -> None:
        mask, old = read(wave), wave.exec
        if _bits_shadow(name, mask, old, shadow(wave), 0) & ALL:
            raise UndefinedValue("EXEC is combined with an undefined mask")
        wave.set_pair(target.index, old)
        wave.set_pair(EXEC, _BITS[name](mask, old) & ALL)
        wave.scc, wave.scc_undefined = int(wave.exec != 0), False

    return run
