"""Division: the helpers alone and LLVM's whole sequence, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.unit.prebuild.gfx950.exact import (
    INFINITY,
    NAN,
    SIGN,
    finite,
    flushed,
    is_nan,
    rounded,
    same,
    value_of,
)

STEPS = (
    "v_div_scale_f32 v10, s[0:1], v2, v2, v1",
    "v_rcp_f32_e32 v11, v10",
    "v_div_scale_f32 v12, vcc, v1, v2, v1",
    "v_fma_f32 v13, -v10, v11, 1.0",
    "v_fmac_f32_e32 v11, v13, v11",
    "v_mul_f32_e32 v13, v12, v11",
    "v_fma_f32 v14, -v10, v13, v12",
    "v_fmac_f32_e32 v13, v14, v11",
    "v_fma_f32 v12, -v10, v13, v12",
    "v_div_fmas_f32 v12, v12, v11, v13",
    "v_div_fixup_f32 v0, v12, v2, v1",
)
"""What LLVM emits for v1 / v2 in v0 where denormals are kept."""
FLUSHING = (
    *STEPS[:3],
    "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 3",
    *STEPS[3:9],
    "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 0",
    *STEPS[9:],
)
"""The same where denormals are flushed: Newton's steps keep them."""

POWERS = (0, 1, 2, 23, 24, 25, 30, 31, 64, 95, 96, 97, 126, 127, 128, 157, 158, 159, 222, 223, 224,
          229, 230, 252, 253, 254)  # fmt: skip
"""Encoded exponents around every threshold of the scaling."""
FRACTIONS = (0, 1, 0x400000, 0x7FFFFF, 0x2AAAAB)


def edges() -> tuple[list[int], list[int]]:
    """Numerators and denominators: every pair of exponents, with fractions that rotate."""
    tops, bottoms = [], []
    for number, (top, bottom) in enumerate((a, b) for a in POWERS for b in POWERS):
        tops.append(top << 23 | FRACTIONS[number % 5] | (number & 1) << 31)
        bottoms.append(bottom << 23 | FRACTIONS[number // 5 % 5] | (number & 2) << 30)
    return tops, bottoms


def random_bits(count: int) -> tuple[list[int], list[int]]:
    random = np.random.default_rng(950)
    one, other = random.integers(0, 2**32, (2, count)).tolist()
    return one, other


def divide(bench_type: Any, tops: list[int], bottoms: list[int], *, keep: bool) -> list[int]:
    results: list[int] = []
    for start in range(0, len(tops), 64):
        bench = bench_type()
        bench.wave.denorm32 = 3 if keep else 0
        for register, values in ((1, tops), (2, bottoms)):
            part = values[start : start + 64]
            bench.set(register, part + [0x3F800000] * (64 - len(part)))
        bench.run(*(STEPS if keep else FLUSHING))
        results += bench.ints(0)
    return results[: len(tops)]


def quotient(top: int, bottom: int) -> int:
    """C's top / bottom, correctly rounded."""
    a, b, sign = value_of(top), value_of(bottom), (top ^ bottom) & SIGN
    if is_nan(top) or is_nan(bottom):
        return NAN
    if isinstance(a, float) or isinstance(b, float):
        if isinstance(a, float) and isinstance(b, float):
            return NAN
        return sign | (INFINITY if isinstance(a, float) else 0)
    if b == 0:
        return NAN if a == 0 else sign | INFINITY
    return rounded(a / b, zero_sign=sign >> 31)


@pytest.mark.parametrize("make", [edges, lambda: random_bits(4096)])
def test_every_quotient_is_correctly_rounded(bench_type: Any, make: Any) -> None:
    tops, bottoms = make()
    for top, bottom, found in zip(
        tops, bottoms, divide(bench_type, tops, bottoms, keep=True), strict=True
    ):
        assert same(found, quotient(top, bottom)), f"{top:#x} / {bottom:#x} gives {found:#x}"


@pytest.mark.parametrize("make", [edges, lambda: random_bits(4096)])
def test_flushing_changes_denormals_alone(bench_type: Any, make: Any) -> None:
    tops, bottoms = make()
    for top, bottom, found in zip(
        tops, bottoms, divide(bench_type, tops, bottoms, keep=False), strict=True
    ):
        expected = flushed(quotient(flushed(top), flushed(bottom)))
        assert same(found, expected), f"{top:#x} / {bottom:#x} gives {found:#x}"


SPECIAL = (0, SIGN, 1, 0x3F800000, SIGN | 0x40400000, INFINITY, SIGN | INFINITY, NAN)


def test_zeros_infinities_and_nan(bench_type: Any) -> None:
    tops = [a for a in SPECIAL for _ in SPECIAL]
    bottoms = [b for _ in SPECIAL for b in SPECIAL]
    found = divide(bench_type, tops, bottoms, keep=True)
    for top, bottom, got in zip(tops, bottoms, found, strict=True):
        assert same(got, quotient(top, bottom)), f"{top:#x} / {bottom:#x} gives {got:#x}"


@pytest.mark.parametrize("make", [edges, lambda: random_bits(2048)])
def test_scaling_keeps_the_quotient_and_leaves_the_extremes(bench_type: Any, make: Any) -> None:
    """The flag and the size of the scaled quotient say how to scale back; nothing overflows."""
    tops, bottoms = make()
    for start in range(0, len(tops) - 63, 64):
        part = slice(start, start + 64)
        bench = bench_type()
        bench.wave.denorm32 = 3
        bench.set(1, tops[part])
        bench.set(2, bottoms[part])
        bench.run(STEPS[0], STEPS[2])
        flags, other = bench.wave.get64(106), bench.wave.get64(0)
        assert flags == other
        for lane in range(64):
            top, bottom = tops[part][lane], bottoms[part][lane]
            if not finite(top, bottom) or not value_of(top) or not value_of(bottom):
                continue
            scaled_top, scaled_bottom = (bench.ints(register)[lane] for register in (12, 10))
            assert finite(scaled_top, scaled_bottom)
            scaled = Fraction(value_of(scaled_top)) / Fraction(value_of(scaled_bottom))
            back = (64 if abs(scaled) >= 1 else -64) if flags >> lane & 1 else 0
            exact = Fraction(value_of(top)) / Fraction(value_of(bottom))
            assert scaled * Fraction(2) ** back == exact
            # Newton's steps need a normal reciprocal, and remainders that do not vanish where the
            # quotient does not.
            assert 1 <= scaled_bottom >> 23 & 0xFF <= 252
            assert scaled_top >> 23 & 0xFF > 24 or abs(exact) < Fraction(1, 2**150)


def test_a_large_denominator_is_scaled_down(bench: Any) -> None:
    # Silu's own case: one over exp(88), and its numerator far below it.
    bench.set(1, [0x3F800000, 0x0C800000] * 32)
    bench.set(2, 253 << 23)
    bench.run(STEPS[0], STEPS[2])
    assert bench.ints(10)[:2] == [189 << 23, 189 << 23]
    assert bench.ints(12)[:2] == [0x3F800000, 0x0C800000]
    assert bench.wave.get64(106) == 2**64 - 1


def test_a_flag_only_for_lanes_that_are_on(bench: Any) -> None:
    bench.set(1, 0x3F800000)
    bench.set(2, 253 << 23)
    bench.wave.set_exec(0b110)
    bench.run(STEPS[2])
    assert bench.wave.get64(106) == 0b110


@pytest.mark.parametrize(("addend", "power"), [(2.0**10, 64), (2.0**-10, -64)])
def test_the_last_step_scales_back_by_the_estimates_size(
    bench: Any, addend: float, power: int
) -> None:
    bench.set(1, np.float32(3.0))
    bench.set(2, np.float32(2.0**-20))
    bench.set(3, np.float32(addend))
    bench.set_scalar(106, 0b01, 0)
    bench.run("v_div_fmas_f32 v0, v1, v2, v3")
    exact = Fraction(3, 2**20) + Fraction(addend)
    assert bench.ints(0)[:2] == [rounded(exact * Fraction(2) ** power), rounded(exact)]


def test_scaling_back_into_the_denormals_rounds_once(bench: Any) -> None:
    # Rounded to float32 first this is a tie; exactly it lies above the tie.
    bench.wave.denorm32 = 3
    bench.set(1, np.float32(2.0**-30))
    bench.set(2, np.float32(1.0))
    bench.set(3, np.float32((2 + 2.0**-1) * 2.0**-24 * 2.0**-61))
    exact = Fraction(2) ** -30 + Fraction(5, 2) * Fraction(2) ** -85
    bench.set_scalar(106, 1, 0)
    bench.run("v_div_fmas_f32 v0, v1, v2, v3")
    assert bench.ints(0)[0] == rounded(exact * Fraction(2) ** -64)


def test_undefined_sources_make_result_and_flag_undefined(bench: Any) -> None:
    bench.set(1, np.float32(1.0))
    bench.set(2, np.float32(2.0))
    bench.wave.vu[2] = 0b100
    bench.run(*STEPS[:1])
    assert bench.undefined(10) == 0b100
    assert bench.wave.su[0] == 0b100
