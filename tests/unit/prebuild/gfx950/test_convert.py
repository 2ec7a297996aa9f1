"""Conversions against ml_dtypes and Python."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebuild.gfx950.errors import UnsupportedInstruction


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_bf16_pairs_round_to_nearest_even(bench_type: Any, low: int, high: int) -> None:
    bench = bench_type()
    bench.wave.denorm32 = 3
    bench.set(1, low)
    bench.set(2, high)
    bench.run("v_cvt_pk_bf16_f32 v0, v1, v2")
    for shift, bits in ((0, low), (16, high)):
        value = np.uint32(bits).view(np.float32)
        got = np.uint16(bench.ints(0)[0] >> shift & 0xFFFF).view(ml_dtypes.bfloat16)
        want = value.astype(ml_dtypes.bfloat16)
        assert (np.isnan(got) and np.isnan(want)) or got.tobytes() == want.tobytes()


@settings(max_examples=100, deadline=None)
@given(st.floats(width=32))
def test_float_to_integer_truncates_and_saturates(bench_type: Any, value: float) -> None:
    bench = bench_type()
    bench.set(1, np.float32(value))
    bench.run("v_cvt_i32_f32_e32 v2, v1", "v_cvt_u32_f32_e32 v3, v1")
    whole = 0 if math.isnan(value) else value
    for register, low, high in ((2, -(2**31), 2**31 - 1), (3, 0, 2**32 - 1)):
        clipped = min(max(whole, low), high)
        assert bench.ints(register)[0] == int(clipped) % 2**32


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_integer_to_float(bench_type: Any, value: int) -> None:
    bench = bench_type()
    bench.set(1, value)
    bench.run("v_cvt_f32_u32_e32 v2, v1", "v_cvt_f32_i32_e32 v3, v1", "v_cvt_f32_ubyte2_e32 v4, v1")
    assert bench.floats(2)[0] == np.float32(value)
    assert bench.floats(3)[0] == np.float32(value - 2**32 if value >= 2**31 else value)
    assert bench.floats(4)[0] == value >> 16 & 0xFF


def test_f16(bench: Any) -> None:
    bench.set(1, np.linspace(-70000, 70000, 64).astype(np.float32))
    with np.errstate(over="ignore"):
        halves = np.linspace(-70000, 70000, 64).astype(np.float32).astype(np.float16)
    bench.run("v_cvt_f16_f32_e32 v2, v1", "v_cvt_f32_f16_e32 v3, v2")
    assert bench.ints(2) == halves.view(np.uint16).tolist()
    assert (bench.floats(3) == halves.astype(np.float32)).all()


def test_packed_float_halves(bench: Any) -> None:
    for register, value in ((2, 1.5), (3, 2.5), (4, 10.0), (5, 20.0)):
        bench.set(register, np.float32(value))
    bench.run("v_pk_mul_f32 v[6:7], v[2:3], v[4:5] op_sel:[1,0] op_sel_hi:[0,1]")
    assert (bench.floats(6)[0], bench.floats(7)[0]) == (25.0, 30.0)
    bench.run("v_pk_add_f32 v[6:7], v[2:3], v[4:5] neg_lo:[0,1] neg_hi:[0,1]")
    assert (bench.floats(6)[0], bench.floats(7)[0]) == (-8.5, -17.5)


def test_a_constant_is_the_low_half_of_a_packed_source(bench: Any) -> None:
    bench.set(2, np.float32(1.5))
    bench.set(3, np.float32(2.5))
    bench.run("v_pk_add_f32 v[6:7], v[2:3], 1.0 op_sel_hi:[1,0]")
    assert (bench.floats(6)[0], bench.floats(7)[0]) == (2.5, 3.5)
    bench.run("v_pk_fma_f32 v[6:7], v[2:3], v[2:3], 0 op_sel_hi:[1,1,0]")
    assert (bench.floats(6)[0], bench.floats(7)[0]) == (2.25, 6.25)
    with pytest.raises(UnsupportedInstruction):
        bench.run("v_pk_add_f32 v[6:7], v[2:3], 1.0")


def test_a_packed_move_takes_a_half_of_each_source(bench: Any) -> None:
    for register, value in ((2, 0x11), (3, 0x80000001), (4, 0x33), (5, 0x44)):  # a denormal stays
        bench.set(register, value)
    bench.run("v_pk_mov_b32 v[6:7], v[2:3], v[4:5] op_sel:[1,0]")
    assert (bench.ints(6)[0], bench.ints(7)[0]) == (0x80000001, 0x33)
    bench.run("v_pk_mov_b32 v[6:7], v[2:3], v[4:5] op_sel:[0,1]")
    assert (bench.ints(6)[0], bench.ints(7)[0]) == (0x11, 0x44)
    bench.run("v_pk_mov_b32 v[4:5], v[4:5], v[4:5] op_sel:[1,0]")
    assert (bench.ints(4)[0], bench.ints(5)[0]) == (0x44, 0x33)
    bench.run("v_pk_mov_b32 v[6:7], v[2:3], 7")
    assert (bench.ints(6)[0], bench.ints(7)[0]) == (0x11, 7)
    with pytest.raises(UnsupportedInstruction):
        bench.run("v_pk_mov_b32 v[6:7], 7, v[2:3] op_sel:[1,0]")


def test_int4_are_sixteenths(bench: Any) -> None:
    bench.set(1, np.arange(64) * 0x01000001)
    bench.run("v_cvt_off_f32_i4_e32 v2, v1")
    assert bench.floats(2)[:16].tolist() == [(n if n < 8 else n - 16) / 16 for n in range(16)]
    bench.run(
        "v_cvt_off_f32_i4_sdwa v3, v1 dst_sel:DWORD dst_unused:UNUSED_PRESERVE src0_sel:BYTE_3"
    )
    assert (bench.floats(3) == bench.floats(2)).all()


def test_fp8_pairs_fill_one_half(bench: Any) -> None:
    values = np.linspace(-448, 448, 64).astype(np.float32)
    bench.set(1, values)
    bench.set(2, values[::-1].copy())
    bench.set(3, 0x12345678)
    bench.run("v_cvt_pk_fp8_f32 v3, v1, v2")
    low = values.astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    expected = [0x12340000 | int(low[lane]) | int(low[63 - lane]) << 8 for lane in range(64)]
    assert bench.ints(3) == expected
    bench.run("v_cvt_pk_fp8_f32 v3, v2, v1 op_sel:[0,0,1]")
    assert bench.ints(3)[5] >> 16 == int(low[58]) | int(low[5]) << 8
    bench.set(1, np.float32(500))
    with pytest.raises(UnsupportedInstruction, match="overflows"):
        bench.run("v_cvt_pk_fp8_f32 v3, v1, v2")


def test_a_half_that_nobody_wrote_stays_undefined(bench: Any) -> None:
    bench.set(1, np.float32(1))
    bench.run("v_cvt_pk_fp8_f32 v3, v1, v1")
    assert bench.wave.vu[3] == (2**64 - 1) << 128 | (2**64 - 1) << 192
