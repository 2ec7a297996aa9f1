"""Scalar instructions: integers, masks, moves.  SCC follows the ISA document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from prebuild.gfx950.arrays import ALL, M32, signed32, signed64
from prebuild.gfx950.disassembly import EXEC, Instruction, Operand
from prebuild.gfx950.errors import UndefinedValue
from prebuild.gfx950.isa.registry import Run, family, instruction
from prebuild.gfx950.isa.shapes import (
    Result,
    decision,
    scalar,
    scalar_sources,
    scalar_target,
    sources_of,
)
from prebuild.gfx950.isa.sources import scalar64, set_scalar64, shadow64
from prebuild.gfx950.wave import Wave

Binary = Callable[[int, int], Result]
Test = Callable[[int, int], bool]


def _overflow(value: int) -> int:
    return int(not -(1 << 31) <= value < 1 << 31)


def _nonzero(value: int) -> Result:
    return value, int(value != 0)


def _short(value: int) -> int:
    """Read the low 16 bits as two's complement."""
    return (value & 0xFFFF ^ 0x8000) - 0x8000


def _signed_field(value: int, offset: int, width: int) -> int:
    field = value >> offset & ((1 << width) - 1)
    sign = 1 << width >> 1
    return (field ^ sign) - sign & M32


_TWO32: dict[str, Binary] = {
    "s_add_u32": lambda a, b: (a + b, (a + b) >> 32 & 1),
    "s_add_i32": lambda a, b: (a + b, _overflow(signed32(a) + signed32(b))),
    "s_sub_i32": lambda a, b: (a - b, _overflow(signed32(a) - signed32(b))),
    "s_mul_i32": lambda a, b: (a * b, None),
    "s_mul_hi_i32": lambda a, b: (signed32(a) * signed32(b) >> 32, None),
    "s_lshl_b32": lambda a, b: _nonzero(a << (b & 31) & M32),
    "s_lshr_b32": lambda a, b: _nonzero(a >> (b & 31)),
    "s_ashr_i32": lambda a, b: _nonzero(signed32(a) >> (b & 31) & M32),
    "s_max_i32": lambda a, b: (max(signed32(a), signed32(b)), int(signed32(a) > signed32(b))),
    "s_lshl1_add_u32": lambda a, b: ((a << 1) + b, int((a << 1) + b > M32)),
    "s_bfe_u32": lambda a, b: _nonzero(a >> (b & 31) & ((1 << (b >> 16 & 127)) - 1)),
    "s_bfe_i32": lambda a, b: _nonzero(_signed_field(a, b & 31, b >> 16 & 127)),
}
_SHIFT64: dict[str, Binary] = {
    "s_lshl_b64": lambda a, b: _nonzero(a << (b & 63) & ALL),
    "s_lshr_b64": lambda a, b: _nonzero(a >> (b & 63)),
    "s_ashr_i64": lambda a, b: _nonzero(signed64(a) >> (b & 63) & ALL),
}


@family(_TWO32)
def _two32(found: Instruction, function: Binary) -> Run:
    """Apply a function of two dwords."""
    return scalar(found, function, sources_of(found, 2), (32, 32), out=32)


@family(_SHIFT64)
def _shift64(found: Instruction, function: Binary) -> Run:
    """Shift a pair by a dword."""
    return scalar(found, function, sources_of(found, 2), (64, 32), out=64)


@dataclass(frozen=True, kw_only=True)
class _One:
    """A function of one source, ``source`` bits wide, with a result of a dword."""

    function: Callable[[int], Result]
    source: int = 32


def _lowest(value: int) -> Result:
    """Return the lowest bit that is set, all ones where none is."""
    return (value & -value).bit_length() - 1 if value else M32, None


_ONES: dict[str, _One] = {
    "s_brev_b32": _One(function=lambda a: (int(f"{a:032b}"[::-1], 2), None)),
    "s_ff1_i32_b64": _One(function=_lowest, source=64),
}


@family(_ONES)
def _one(found: Instruction, entry: _One) -> Run:
    """Apply a function of one source."""
    return scalar(found, entry.function, sources_of(found, 1), (entry.source,), out=32)


@instruction("s_addc_u32")
def _addc(found: Instruction) -> Run:
    """Add with SCC as carry."""
    put, whole = scalar_target(found, 32)
    (left, right), (first, second) = scalar_sources(found, sources_of(found, 2), (32, 32))

    def run(wave: Wave) -> None:
        total = left(wave) + right(wave) + wave.scc
        undefined = bool(first(wave) | second(wave)) or wave.scc_undefined
        put(wave, total, whole if undefined else 0)
        wave.scc, wave.scc_undefined = int(total > M32), undefined

    return run


@dataclass(frozen=True, kw_only=True)
class Bitwise:
    """A bitwise function; a result bit that one defined source decides alone is defined."""

    function: Callable[[int, int], int]
    decides: tuple[int | None, int | None] = (None, None)
    """The bit of each source that decides the result whatever the other one is."""

    def shadow(self, values: tuple[int, int], marks: tuple[int, int]) -> int:
        """Return which result bits are undefined."""
        undefined = marks[0] | marks[1]
        for value, mark, bit in zip(values, marks, self.decides, strict=True):
            if bit is not None:
                undefined &= (~value if bit else value) | mark
        return undefined


_BITS: dict[str, Bitwise] = {
    "and": Bitwise(function=lambda a, b: a & b, decides=(0, 0)),
    "or": Bitwise(function=lambda a, b: a | b, decides=(1, 1)),
    "xor": Bitwise(function=lambda a, b: a ^ b),
    "andn2": Bitwise(function=lambda a, b: a & ~b, decides=(0, 1)),
}
_BITWISE = {
    f"s_{name}_b{width}": (_BITS[name], width)
    for width, names in (
        (32, "and or andn2"),
        (64, "and or xor andn2"),
    )
    for name in names.split()
}


@family(_BITWISE)
def _bits(found: Instruction, entry: tuple[Bitwise, int]) -> Run:
    """Apply a bitwise function; SCC says whether the result is not zero."""
    bitwise, width = entry
    put, mask = scalar_target(found, width)
    (left, right), (first, second) = scalar_sources(found, sources_of(found, 2), (width, width))
    function, shadow = bitwise.function, bitwise.shadow

    def run(wave: Wave) -> None:
        a, b, marks = left(wave), right(wave), (first(wave), second(wave))
        value = function(a, b) & mask
        undefined = shadow((a, b), marks) & mask if marks[0] | marks[1] else 0
        put(wave, value, undefined)
        wave.scc, wave.scc_undefined = int(value != 0), undefined != 0

    return run


_SAVEEXEC = {f"s_{name}_saveexec_b64": _BITS[name] for name in ("and", "or", "andn2")}


@family(_SAVEEXEC)
def _saveexec(found: Instruction, bitwise: Bitwise) -> Run:
    """Save EXEC and combine it with a mask (andn2: the mask without the old EXEC)."""
    (source,) = sources_of(found, 1)
    put = set_scalar64(found, found.operands[0])
    read, shadow = scalar64(found, source), shadow64(source)

    def run(wave: Wave) -> None:
        mask, old = read(wave), wave.exec
        if bitwise.shadow((mask, old), (shadow(wave), 0)) & ALL:
            raise UndefinedValue("EXEC is combined with an undefined mask")
        put(wave, old, 0)
        wave.set_pair(EXEC, bitwise.function(mask, old) & ALL)
        wave.scc, wave.scc_undefined = int(wave.exec != 0), False

    return run


@family({"s_mov_b32": 32, "s_mov_b64": 64})
def _mov(found: Instruction, width: int) -> Run:
    """Copy, undefined bits as they are."""
    put, _ = scalar_target(found, width)
    (read,), (shadow,) = scalar_sources(found, sources_of(found, 1), (width,))
    return lambda wave: put(wave, read(wave), shadow(wave))


@family({"s_cselect_b32": 32, "s_cselect_b64": 64})
def _cselect(found: Instruction, width: int) -> Run:
    """Choose by SCC."""
    put, whole = scalar_target(found, width)
    (yes, no), (first, second) = scalar_sources(found, sources_of(found, 2), (width, width))

    def run(wave: Wave) -> None:
        chosen, shadow = (yes, first) if wave.scc else (no, second)
        put(wave, chosen(wave), whole if wave.scc_undefined else shadow(wave))

    return run


_COMPARE32: dict[str, Test] = {
    "s_cmp_eq_u32": lambda a, b: a == b,
    "s_cmp_lg_u32": lambda a, b: a != b,
    "s_cmp_lt_i32": lambda a, b: signed32(a) < signed32(b),
    "s_cmp_ge_i32": lambda a, b: signed32(a) >= signed32(b),
}


@family(_COMPARE32)
def _compare32(found: Instruction, test: Test) -> Run:
    """Ask two dwords."""
    return decision(found, test, sources_of(found, 2, first=0), 32)


@instruction("s_cmp_lg_u64")
def _compare64(found: Instruction) -> Run:
    """Ask two pairs whether they differ."""
    return decision(found, lambda a, b: a != b, sources_of(found, 2, first=0), 64)


def _with_short(operand: Operand) -> Operand:
    """Return a signed 16-bit constant as the dword that takes part."""
    return replace(operand, value=_short(int(operand.value)))


@instruction("s_movk_i32")
def _movk(found: Instruction) -> Run:
    """Move a signed 16-bit constant."""
    (short,) = sources_of(found, 1)
    return scalar(found, lambda a: (a, None), (_with_short(short),), (32,), out=32)


@instruction("s_addk_i32")
def _addk(found: Instruction) -> Run:
    """Add a signed 16-bit constant to the destination."""
    target, short = sources_of(found, 2, first=0)
    operands = target, _with_short(short)
    return scalar(found, _TWO32["s_add_i32"], operands, (32, 32), out=32)


@instruction("s_bitset1_b32")
def _bitset1(found: Instruction) -> Run:
    """Set one bit of the destination; SCC stays."""
    operands = sources_of(found, 2, first=0)
    return scalar(found, lambda old, bit: (old | 1 << (bit & 31), None), operands, (32, 32), out=32)
