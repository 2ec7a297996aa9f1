"""Integer and bit instructions against Python's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

M = 2**32
WORD = st.integers(0, M - 1)


def signed(value: int) -> int:
    return value - M if value >= M // 2 else value


TWO = {
    "v_add_u32_e32": lambda a, b: a + b,
    "v_sub_u32_e32": lambda a, b: a - b,
    "v_subrev_u32_e32": lambda a, b: b - a,
    "v_and_b32_e32": lambda a, b: a & b,
    "v_or_b32_e32": lambda a, b: a | b,
    "v_xor_b32_e32": lambda a, b: a ^ b,
    "v_lshlrev_b32_e32": lambda a, b: b << a % 32,
    "v_lshrrev_b32_e32": lambda a, b: b >> a % 32,
    "v_ashrrev_i32_e32": lambda a, b: signed(b) >> a % 32,
    "v_mul_lo_u32": lambda a, b: a * b,
    "v_mul_hi_u32": lambda a, b: a * b >> 32,
    "v_mul_hi_i32": lambda a, b: signed(a) * signed(b) >> 32,
    "v_mul_u32_u24_e32": lambda a, b: a % 2**24 * (b % 2**24),
    "v_min_i32_e32": lambda a, b: min(signed(a), signed(b)),
    "v_max_u32_e32": max,
}
THREE = {
    "v_add3_u32": lambda a, b, c: a + b + c,
    "v_or3_b32": lambda a, b, c: a | b | c,
    "v_and_or_b32": lambda a, b, c: a & b | c,
    "v_lshl_or_b32": lambda a, b, c: a << b % 32 | c,
    "v_lshl_add_u32": lambda a, b, c: (a << b % 32) + c,
    "v_add_lshl_u32": lambda a, b, c: (a + b) % M << c % 32,
    "v_xad_u32": lambda a, b, c: (a ^ b) + c,
    "v_mad_u32_u24": lambda a, b, c: a % 2**24 * (b % 2**24) + c,
    "v_bfe_u32": lambda a, b, c: a >> b % 32 & (1 << c % 32) - 1,
    "v_bfi_b32": lambda a, b, c: a & b | ~a & c,
    "v_alignbit_b32": lambda a, b, c: (a << 32 | b) >> c % 32,
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TWO)), WORD, WORD)
def test_two_sources(bench_type: Any, name: str, a: int, b: int) -> None:
    bench = bench_type()
    bench.set(1, a)
    bench.set(2, b)
    bench.run(f"{name} v0, v1, v2")
    assert set(bench.ints(0)) == {TWO[name](a, b) % M}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(THREE)), WORD, WORD, WORD)
def test_three_sources(bench_type: Any, name: str, a: int, b: int, c: int) -> None:
    bench = bench_type()
    for register, value in enumerate((a, b, c), 1):
        bench.set(register, value)
    bench.run(f"{name} v0, v1, v2, v3")
    assert set(bench.ints(0)) == {THREE[name](a, b, c) % M}


@settings(max_examples=80, deadline=None)
@given(WORD, WORD, st.integers(0, 2**64 - 1))
def test_multiply_add_to_64_bits(bench_type: Any, a: int, b: int, c: int) -> None:
    bench = bench_type()
    for register, value in enumerate((a, b, c % M, c >> 32), 1):
        bench.set(register, value)
    bench.run("v_mad_u64_u32 v[6:7], s[0:1], v1, v2, v[3:4]")
    total = a * b + c
    assert bench.ints(6)[0] | bench.ints(7)[0] << 32 == total % 2**64
    assert bench.wave.get64(0) == (2**64 - 1 if total >> 64 else 0)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 7), st.integers(0, 2**64 - 1))
def test_shift_and_add_64_bits(bench_type: Any, a: int, shift: int, c: int) -> None:
    bench = bench_type()
    for register, value in enumerate((a % M, a >> 32, shift), 1):
        bench.set(register, value)
    bench.set_scalar(4, c % M, c >> 32)
    bench.run("v_lshl_add_u64 v[6:7], v[1:2], v3, s[4:5]")
    assert bench.ints(6)[0] | bench.ints(7)[0] << 32 == ((a << shift) + c) % 2**64


@settings(max_examples=100, deadline=None)
@given(WORD, WORD, WORD, st.integers(0, 255))
def test_any_function_of_three_bits(bench_type: Any, a: int, b: int, c: int, table: int) -> None:
    bench = bench_type()
    for register, value in enumerate((a, b, c), 1):
        bench.set(register, value)
    bench.run(f"v_bitop3_b32 v0, v1, v2, v3 bitop3:{table:#x}")
    expected = 0
    for bit in range(32):
        row = (a >> bit & 1) * 4 + (b >> bit & 1) * 2 + (c >> bit & 1)
        expected |= (table >> row & 1) << bit
    assert bench.ints(0)[0] == expected


def test_permute_bytes(bench: Any) -> None:
    # Bytes 0 to 3 are source 1's, 4 to 7 source 0's, 12 is a zero byte.
    bench.set(1, 0x77665544)
    bench.set(2, 0x33221100)
    bench.set_scalar(6, 0x07000C03)
    bench.run("v_perm_b32 v0, v1, v2, s6")
    assert bench.ints(0)[0] == 0x77000033


def test_reverse_bits(bench: Any) -> None:
    bench.run("v_bfrev_b32_e32 v0, 1")
    assert bench.ints(0)[0] == 0x80000000


def test_choose_by_mask(bench: Any) -> None:
    bench.set(1, 11)
    bench.set(2, 22)
    bench.set_scalar(4, 0b10, 0)
    bench.run("v_cndmask_b32_e64 v0, v1, v2, s[4:5]")
    assert bench.ints(0)[:3] == [11, 22, 11]


def test_choosing_an_undefined_value_only_where_it_is_chosen(bench: Any) -> None:
    bench.set(1, 11)
    bench.set_scalar(4, 0b10, 0)
    bench.run("v_cndmask_b32_e64 v0, v1, v9, s[4:5]")
    assert bench.undefined(0) == 0b10


def test_sdwa_selects_a_word(bench: Any) -> None:
    bench.set(1, 0x11112222)
    bench.set(2, 0x33334444)
    bench.set_scalar(106, 0xFFFFFFFF, 0xFFFFFFFF)
    bench.run(
        "v_cndmask_b32_sdwa v0, v1, v2, vcc dst_sel:DWORD dst_unused:UNUSED_PAD"
        " src0_sel:DWORD src1_sel:WORD_1"
    )
    assert bench.ints(0)[0] == 0x3333


def test_first_active_lane(bench: Any) -> None:
    bench.set(1, np.arange(64) * 3)
    bench.wave.set_exec(0xFF00)
    bench.run("v_readfirstlane_b32 s5, v1")
    assert bench.wave.s[5] == 24


def test_read_and_write_one_lane(bench: Any) -> None:
    bench.set(1, np.arange(64))
    bench.wave.set_exec(1)
    bench.run("v_readlane_b32 s5, v1, 40", "v_writelane_b32 v1, s5, 3")
    assert bench.wave.s[5] == 40
    assert bench.ints(1)[3] == 40


def test_count_mask_bits_below(bench: Any) -> None:
    bench.run("v_mbcnt_lo_u32_b32 v0, -1, 0", "v_mbcnt_hi_u32_b32 v0, -1, v0")
    assert bench.ints(0) == list(range(64))


def test_carry_chain(bench: Any) -> None:
    bench.set(1, 0xFFFFFFFF)
    bench.set(2, 1)
    bench.set(3, 5)
    bench.run("v_add_co_u32_e32 v0, vcc, v1, v2", "v_addc_co_u32_e32 v4, vcc, v3, v3, vcc")
    assert (bench.ints(0)[0], bench.ints(4)[0]) == (0, 11)


@pytest.mark.parametrize(
    ("control", "source"),
    [
        ("quad_perm:[1,0,3,2]", lambda lane: lane ^ 1),
        ("row_ror:4", lambda lane: (lane & ~15) | (lane - 4) % 16),
        ("row_newbcast:5", lambda lane: (lane & ~15) | 5),
        ("row_mirror", lambda lane: lane ^ 15),
        ("row_half_mirror", lambda lane: lane ^ 7),
    ],
)
def test_lanes_moved_within_a_row(bench: Any, control: str, source: Any) -> None:
    bench.set(1, np.arange(64) + 100)
    bench.run(f"v_mov_b32_dpp v0, v1 {control} row_mask:0xf bank_mask:0xf")
    assert bench.ints(0) == [source(lane) + 100 for lane in range(64)]


def test_shift_within_a_row_reads_zero_from_outside(bench: Any) -> None:
    bench.set(1, np.arange(64) + 100)
    bench.run("v_mov_b32_dpp v0, v1 row_shr:1 row_mask:0xf bank_mask:0xf bound_ctrl:1")
    assert bench.ints(0)[:3] == [0, 100, 101]
    assert bench.ints(0)[16] == 0


def test_low_dword_does_not_depend_on_an_undefined_high_one(bench: Any) -> None:
    bench.set(1, 3)
    bench.set(2, 4)
    bench.set(3, 5)
    bench.run("v_mad_u64_u32 v[6:7], s[0:1], v1, v2, v[3:4]")
    assert bench.undefined(6) == 0
    assert bench.undefined(7) == 2**64 - 1
