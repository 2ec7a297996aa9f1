"""Float32 instructions against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

FLOAT_BITS = st.integers(0, 2**32 - 1)


def value_of(bits: int) -> Fraction | float:
    """Decode float32 by its definition."""
    sign, power, mantissa = bits >> 31, bits >> 23 & 0xFF, bits & 0x7FFFFF
    if power == 0xFF:
        return math.nan if mantissa else (-math.inf if sign else math.inf)
    scaled = Fraction(mantissa + ((1 << 23) if power else 0), 1 << 23)
    value = scaled * Fraction(2) ** (max(power, 1) - 127)
    return -value if sign else value


def rounded(exact: Fraction) -> int:
    """Encode an exact value as float32: nearest, ties to even, overflow to infinity."""
    sign, size = int(exact < 0), abs(exact)
    if size == 0:
        return 0
    power = max(size.numerator.bit_length() - size.denominator.bit_length() - 1, -127)
    while size >= Fraction(2) ** (power + 1):
        power += 1
    power = max(power, -126)
    units = size / Fraction(2) ** (power - 23)
    whole, rest = divmod(units, 1)
    whole = int(whole)
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole & 1):
        whole += 1
    if whole >= 1 << 24:
        whole, power = whole >> 1, power + 1
    if power > 127:
        return sign << 31 | 0x7F800000
    encoded = whole - (1 << 23) + ((power + 127) << 23) if whole >= 1 << 23 else whole
    return sign << 31 | encoded


def finite(*bits: int) -> bool:
    return all(bit >> 23 & 0xFF != 0xFF for bit in bits)


@settings(max_examples=300, deadline=None)
@given(FLOAT_BITS, FLOAT_BITS, FLOAT_BITS)
def test_fma_rounds_once(bench_type: Any, left: int, right: int, addend: int) -> None:
    bench = bench_type()
    bench.wave.denorm32 = 3
    bench.set(1, left)
    bench.set(2, right)
    bench.set(3, addend)
    bench.run("v_fma_f32 v0, v1, v2, v3")
    if not finite(left, right, addend):
        return
    exact = value_of(left) * value_of(right) + value_of(addend)
    if exact != 0:
        assert bench.ints(0)[0] == rounded(exact)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["add", "sub", "subrev", "mul"]), FLOAT_BITS, FLOAT_BITS)
def test_arithmetic_is_correctly_rounded(bench_type: Any, name: str, left: int, right: int) -> None:
    bench = bench_type()
    bench.wave.denorm32 = 3
    bench.set(1, left)
    bench.set(2, right)
    bench.run(f"v_{name}_f32_e32 v0, v1, v2")
    if not finite(left, right):
        return
    a, b = value_of(left), value_of(right)
    exact = {"add": a + b, "sub": a - b, "subrev": b - a, "mul": a * b}[name]
    if exact != 0:
        assert bench.ints(0)[0] == rounded(exact)


def test_a_fused_multiply_add_is_not_two_roundings(bench: Any) -> None:
    # 1 + 2**-12 squared is 1 + 2**-11 + 2**-24: the last bit is lost when the product is rounded.
    x = np.float32(1 + 2**-12)
    bench.set(1, x)
    bench.set(2, np.float32(-1 - 2**-11))
    bench.run("v_fma_f32 v0, v1, v1, v2")
    assert bench.floats(0)[0] == 2.0**-24


def test_double_rounding_case(bench: Any) -> None:
    # In float64 this sum is a tie between two floats; exactly it lies just above the tie.
    left, right = np.float32(2.0**-30), np.float32(2.0**-30)
    bench.wave.denorm32 = 3
    bench.set(1, left)
    bench.set(2, right)
    bench.set(3, np.float32(1 + 2**-23))
    bench.run("v_fma_f32 v0, v1, v2, v3")
    exact = Fraction(2) ** -60 + 1 + Fraction(1, 2**23)
    assert bench.ints(0)[0] == rounded(exact)


@pytest.mark.parametrize(
    ("mode", "expected"), [(0, 0x00000000), (1, 0x00000000), (2, 0x00000000), (3, 0x00000002)]
)
def test_denormals_follow_mode(bench: Any, mode: int, expected: int) -> None:
    # Denormal sources need bit 0, a denormal result bit 1.
    bench.wave.denorm32 = mode
    bench.set(1, 1)
    bench.run("v_add_f32_e32 v0, v1, v1")
    assert bench.ints(0)[0] == expected


def test_flushing_keeps_the_sign(bench: Any) -> None:
    bench.set(1, 0x80000001)
    bench.set(2, np.float32(-0.0))
    bench.run("v_add_f32_e32 v0, v1, v2")
    assert bench.ints(0)[0] == 0x80000000


def test_modifiers(bench: Any) -> None:
    bench.set(1, np.float32(-3.0))
    bench.set(2, np.float32(2.0))
    bench.run("v_fma_f32 v0, |v1|, -v2, 1.0")
    assert bench.floats(0)[0] == -5.0
    bench.run("v_mul_f32_e64 v0, -|v1|, v2")
    assert bench.floats(0)[0] == -6.0
    bench.run("v_add_f32_e64 v0, |v1|, v2 clamp")
    assert bench.floats(0)[0] == 1.0
    bench.run("v_add_f32_e64 v0, |v1|, v2 mul:4")
    assert bench.floats(0)[0] == 20.0


def test_literal_and_inline_constants(bench: Any) -> None:
    bench.set(1, np.float32(2.0))
    bench.run("v_mul_f32_e32 v0, 0xbfb8aa3b, v1")
    assert bench.floats(0)[0] == np.float32(np.uint32(0xBFB8AA3B).view(np.float32)) * 2
    bench.run("v_mul_f32_e64 v0, 0.5, v1")
    assert bench.floats(0)[0] == 1.0


def test_lanes_that_are_off_keep_their_value(bench: Any) -> None:
    bench.set(0, np.float32(7.0))
    bench.set(1, np.float32(1.0))
    bench.wave.set_exec(0x5)
    bench.run("v_add_f32_e32 v0, v1, v1")
    assert list(bench.floats(0)[:4]) == [2.0, 7.0, 2.0, 7.0]


DIVIDE = (
    "v_div_scale_f32 v10, s[0:1], v2, v2, v1",
    "v_rcp_f32_e32 v11, v10",
    "v_div_scale_f32 v12, vcc, v1, v2, v1",
    "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 3",
    "v_fma_f32 v13, -v10, v11, 1.0",
    "v_fmac_f32_e32 v11, v13, v11",
    "v_mul_f32_e32 v13, v12, v11",
    "v_fma_f32 v14, -v10, v13, v12",
    "v_fmac_f32_e32 v13, v14, v11",
    "v_fma_f32 v12, -v10, v13, v12",
    "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 0",
    "v_div_fmas_f32 v12, v12, v11, v13",
    "v_div_fixup_f32 v0, v12, v2, v1",
)
"""The sequence that LLVM emits for a correctly rounded quotient v1 / v2."""


@settings(max_examples=200, deadline=None)
@given(FLOAT_BITS, FLOAT_BITS)
def test_division_is_correctly_rounded(bench_type: Any, top: int, bottom: int) -> None:
    normal = [1 <= bits >> 23 & 0xFF <= 254 for bits in (top, bottom)]
    if not all(normal):
        return
    exact = value_of(top) / value_of(bottom)
    if not 2.0**-125 < abs(exact) < 2.0**127:
        return
    bench = bench_type()
    bench.set(1, top)
    bench.set(2, bottom)
    bench.run(*DIVIDE)
    assert bench.ints(0)[0] == rounded(exact)


@pytest.mark.parametrize(
    ("top", "bottom", "expected"),
    [
        (1.0, 0.0, math.inf),
        (-1.0, 0.0, -math.inf),
        (0.0, 5.0, 0.0),
        (1.0, math.inf, 0.0),
        (math.inf, 2.0, math.inf),
        (2.0**127, 2.0**-100, math.inf),
        (2.0**-100, 2.0**127, 0.0),
        (1.5 * 2.0**120, 2.0**-7, 1.5 * 2.0**127),
        (3.0, 1.5 * 2.0**126, 2.0**-125),
    ],
)
def test_division_at_the_extremes(bench: Any, top: float, bottom: float, expected: float) -> None:
    bench.set(1, np.float32(top))
    bench.set(2, np.float32(bottom))
    bench.run(*DIVIDE)
    assert bench.floats(0)[0] == expected


@pytest.mark.parametrize(("top", "bottom"), [(0.0, 0.0), (math.inf, math.inf), (math.nan, 1.0)])
def test_division_without_a_value(bench: Any, top: float, bottom: float) -> None:
    bench.set(1, np.float32(top))
    bench.set(2, np.float32(bottom))
    bench.run(*DIVIDE)
    assert np.isnan(bench.floats(0)).all()


def test_exp_is_two_to_the_power(bench: Any) -> None:
    bench.set(1, np.linspace(-20, 20, 64).astype(np.float32))
    bench.run("v_exp_f32_e32 v0, v1")
    exact = [2.0 ** float(x) for x in np.linspace(-20, 20, 64).astype(np.float32)]
    assert np.allclose(bench.floats(0), exact, rtol=2.0**-24, atol=0)


def test_ldexp_and_rounding(bench: Any) -> None:
    bench.set(1, np.float32(0.75))
    bench.set(2, -3)
    bench.run("v_ldexp_f32 v0, v1, v2")
    assert bench.floats(0)[0] == 0.09375
    bench.set(1, np.array([0.5, 1.5, 2.5, -0.5] * 16))
    bench.run("v_rndne_f32_e32 v0, v1")
    assert list(bench.floats(0)[:4]) == [0.0, 2.0, 2.0, 0.0]


def test_undefined_sources_make_undefined_results(bench: Any) -> None:
    bench.set(1, np.float32(1.0))
    bench.run("v_add_f32_e32 v0, v1, v9")
    assert bench.undefined(0) == 2**64 - 1
    bench.run("v_add_f32_e32 v0, v1, v1")
    assert bench.undefined(0) == 0
