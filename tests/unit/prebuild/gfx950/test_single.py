"""Float32 instructions against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebuild.gfx950.errors import UnsupportedInstruction
from tests.unit.prebuild.gfx950.exact import finite, rounded, value_of

FLOAT_BITS = st.integers(0, 2**32 - 1)


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
    bench.run("v_add_f32_e64 v0, -|v1|, v2 clamp")
    assert bench.floats(0)[0] == 0.0


def test_an_output_modifier_that_ieee_mode_ignores_is_refused(bench: Any) -> None:
    with pytest.raises(UnsupportedInstruction, match="mul"):
        bench.run("v_add_f32_e64 v0, v1, v2 mul:4")


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


def test_undefined_sources_make_undefined_results(bench: Any) -> None:
    bench.set(1, np.float32(1.0))
    bench.run("v_add_f32_e32 v0, v1, v9")
    assert bench.undefined(0) == 2**64 - 1
    bench.run("v_add_f32_e32 v0, v1, v1")
    assert bench.undefined(0) == 0
