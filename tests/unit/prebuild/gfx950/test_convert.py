"""Conversions and packed operands: constants, halves, refusals; the oracles have the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prebuild.gfx950.errors import UnsupportedInstruction


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


def test_a_value_beyond_fp8_is_refused(bench: Any) -> None:
    bench.set(1, np.float32(500))
    bench.set(2, np.float32(1))
    with pytest.raises(UnsupportedInstruction, match="overflows"):
        bench.run("v_cvt_pk_fp8_f32 v3, v1, v2")


def test_a_half_that_nobody_wrote_stays_undefined(bench: Any) -> None:
    bench.set(1, np.float32(1))
    bench.run("v_cvt_pk_fp8_f32 v3, v1, v1")
    assert bench.wave.vu[3] == (2**64 - 1) << 128 | (2**64 - 1) << 192
