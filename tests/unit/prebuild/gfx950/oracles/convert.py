"""Conversions against exact fractions, Python's integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

from tests.unit.prebuild.gfx950.exact import (
    NAN,
    SIGN,
    flushed,
    is_nan,
    rounded,
    value_of,
)
from tests.unit.prebuild.gfx950.oracles.floats import FLUSH, KEEP, compare, run_floats
from tests.unit.prebuild.gfx950.oracles.kit import (
    EDGES32,
    FLOATS32,
    M32,
    WAVE,
    Check,
    Kit,
    batches,
    form_of,
    formed,
    signed,
)


def integer(bits: int) -> int:
    """To a signed integer, towards zero, as far as it goes; NaN is 0."""
    if is_nan(bits):
        return 0
    value = value_of(bits)
    low, high = -(2**31), 2**31 - 1
    if isinstance(value, float):
        return (low if value < 0 else high) % M32
    return min(max(math.trunc(value), low), high) % M32


def half(bits: int) -> int:
    """To f16: nearest, ties to even."""
    if is_nan(bits):
        return 0x7E00 | bits >> 16 & 0x8000
    value = value_of(bits)
    if isinstance(value, float):
        return bits >> 16 & 0x8000 | 0x7C00
    return rounded(value, zero_sign=bits >> 31, fraction=10, exponent=5)


def half_value(code: int) -> Fraction | float:
    power, fraction = code >> 10 & 31, code & 0x3FF
    if power == 31:
        return math.nan if fraction else (-math.inf if code >> 15 else math.inf)
    size = Fraction(fraction + (1024 if power else 0), 1024) * Fraction(2) ** (max(power, 1) - 15)
    return -size if code >> 15 else size


def from_half(bits: int) -> int:
    code = bits & 0xFFFF
    value = half_value(code)
    if isinstance(value, float):
        return NAN if math.isnan(value) else code >> 15 << 31 | 0x7F800000
    return rounded(value, zero_sign=code >> 15)


TO_FLOAT: dict[str, Callable[[int], int]] = {
    "v_cvt_f32_f16": from_half,
    "v_cvt_off_f32_i4": lambda a: rounded(Fraction(signed(a, 4), 16)),
}


def check_to_integer(kit: Kit, mnemonic: str) -> None:
    for sources in batches((*FLOATS32, *EDGES32), 1, 32, seed=2):
        extra, seen = formed(mnemonic, sources)
        bench = run_floats(kit, f"{mnemonic} v0, v1{extra}", sources, KEEP)
        for bits, found in zip(seen[0], bench.ints(0), strict=True):
            assert found == integer(bits), hex(bits)


def check_to_float(kit: Kit, mnemonic: str) -> None:
    oracle = TO_FLOAT[mnemonic.removesuffix(f"_{form_of(mnemonic)}")]
    edges = (*EDGES32, *range(16), 0x3C00, 0x7BFF, 0x7C00, 0xFC00, 0x7E01, 0x0400, 0x83FF)
    for mode in (KEEP, FLUSH):
        for sources in batches(edges, 1, 32, seed=2):
            extra, seen = formed(mnemonic, sources)
            bench = run_floats(kit, f"{mnemonic} v0, v1{extra}", sources, mode)
            expected = [oracle(value) for value in seen[0]]
            if mode == FLUSH:
                expected = [flushed(bits) for bits in expected]
            compare(bench.ints(0), expected, mnemonic, seen)


def bf16(bits: int) -> int:
    """To bf16: nearest, ties to even."""
    if is_nan(bits):
        return 0x7FC0
    value = value_of(bits)
    if isinstance(value, float):
        return bits >> 16
    return rounded(value, zero_sign=bits >> 31, fraction=7, exponent=8)


PAIRS: dict[str, tuple[Callable[[int], int], int]] = {
    "v_cvt_pk_bf16_f32": (bf16, 0x7F80),
    "v_cvt_pk_f16_f32": (half, 0x7C00),
}
"""Name -> one value's code, and the code of infinity (beyond it are the NaN)."""


def check_pairs(kit: Kit, mnemonic: str) -> None:
    oracle, top = PAIRS[mnemonic.removesuffix(f"_{form_of(mnemonic)}")]
    halfway = (0x3F808000, 0x3F818000, 0x477FF000, 0x477FEFFF, 0x33000000, 0x33000001, 0x38FFFFFF)
    for sources in batches((*FLOATS32, *halfway), 2, 32, seed=12):
        bench = run_floats(kit, f"{mnemonic} v0, v1, v2", sources, KEEP)
        for low, high, found in zip(*sources, bench.ints(0), strict=True):
            for bits, code in ((low, found & 0xFFFF), (high, found >> 16)):
                nan = code & 0x7FFF > top
                assert nan if is_nan(bits) else code == oracle(bits), f"{bits:#x}: {code:#x}"


def fp8_value(code: int) -> Fraction:
    """Decode e4m3 (OCP OFP8) without its sign; 127 is NaN."""
    power, fraction = code >> 3, code & 7
    return Fraction(fraction + (8 if power else 0), 8) * Fraction(2) ** (max(power, 1) - 7)


FP8 = [fp8_value(code) for code in range(127)]


def fp8(bits: int) -> int:
    """To fp8: the nearest code, the even one of two."""
    size = abs(Fraction(value_of(bits)))
    return min(range(127), key=lambda code: (abs(FP8[code] - size), code & 1)) | bits >> 24 & 0x80


def check_fp8(kit: Kit, mnemonic: str) -> None:
    """Over every code, every tie between two codes, and values beside the ties."""
    ties = [(a + b) / 2 for a, b in pairwise(FP8)]
    grid = [rounded(value) for value in (*FP8, *ties)]
    grid += [rounded(tie) + step for tie in ties for step in (-1, 1)]
    grid += [bits | SIGN for bits in grid]
    grid += [0] * (-len(grid) % WAVE)
    for start in range(0, len(grid), WAVE):
        row = grid[start : start + WAVE]
        bench = kit.bench()
        bench.set(1, row)
        bench.set(2, row[::-1])
        bench.set(3, 0x12345678)
        bench.run(f"{mnemonic} v3, v1, v2")
        code = [fp8(bits) for bits in row]
        low = [one | other << 8 for one, other in zip(code, code[::-1], strict=True)]
        assert bench.ints(3) == [0x12340000 | pair for pair in low]
        bench.run(f"{mnemonic} v3, v2, v1 op_sel:[0,0,1]")
        high = low[::-1]
        assert bench.ints(3) == [a | b << 16 for a, b in zip(low, high, strict=True)]


CHECKS: dict[str, Check] = {
    **dict.fromkeys(TO_FLOAT, check_to_float),
    **dict.fromkeys(PAIRS, check_pairs),
    "v_cvt_i32_f32": check_to_integer,
    "v_cvt_pk_fp8_f32": check_fp8,
}
