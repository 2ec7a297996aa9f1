"""Scalar instructions against Python's integers; SCC by the ISA document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

WORD = st.integers(0, 2**32 - 1)
M = 2**32


def signed(value: int) -> int:
    return value - M if value >= M // 2 else value


CASES = {
    "s_add_u32": lambda a, b: (a + b, a + b >= M),
    "s_sub_u32": lambda a, b: (a - b, b > a),
    "s_add_i32": lambda a, b: (a + b, not -M // 2 <= signed(a) + signed(b) < M // 2),
    "s_sub_i32": lambda a, b: (a - b, not -M // 2 <= signed(a) - signed(b) < M // 2),
    "s_and_b32": lambda a, b: (a & b, a & b != 0),
    "s_or_b32": lambda a, b: (a | b, a | b != 0),
    "s_xor_b32": lambda a, b: (a ^ b, a ^ b != 0),
    "s_andn2_b32": lambda a, b: (a & ~b, a & ~b % M != 0),
    "s_lshl_b32": lambda a, b: (a << b % 32, (a << b % 32) % M != 0),
    "s_lshr_b32": lambda a, b: (a >> b % 32, a >> b % 32 != 0),
    "s_ashr_i32": lambda a, b: (signed(a) >> b % 32, signed(a) >> b % 32 != 0),
    "s_min_i32": lambda a, b: (min(signed(a), signed(b)), signed(a) < signed(b)),
    "s_max_u32": lambda a, b: (max(a, b), a > b),
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(CASES)), WORD, WORD)
def test_value_and_scc(bench_type: Any, name: str, a: int, b: int) -> None:
    bench = bench_type()
    bench.set_scalar(4, a, b)
    bench.run(f"{name} s6, s4, s5")
    value, carry = CASES[name](a, b)
    assert (bench.wave.s[6], bench.wave.scc) == (value % M, int(carry))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_64_bit_addition_by_carry(bench_type: Any, a: int, b: int) -> None:
    bench = bench_type()
    bench.set_scalar(4, a % M, a >> 32, b % M, b >> 32)
    bench.run("s_add_u32 s8, s4, s6", "s_addc_u32 s9, s5, s7")
    assert bench.wave.get64(8) == (a + b) % 2**64
    bench.run("s_sub_u32 s8, s4, s6", "s_subb_u32 s9, s5, s7")
    assert bench.wave.get64(8) == (a - b) % 2**64


@pytest.mark.parametrize(
    ("line", "expected"),
    [("s_mul_i32 s6, s4, s5", 0xFFFFFFFA), ("s_mul_hi_i32 s6, s4, s5", 0xFFFFFFFF),
     ("s_mul_hi_u32 s6, s4, s5", 2), ("s_movk_i32 s6, 0xfff0", 0xFFFFFFF0),
     ("s_addk_i32 s4, 0x10", 0xE)],
)  # fmt: skip
def test_multiply_and_short_constants(bench: Any, line: str, expected: int) -> None:
    bench.set_scalar(4, -2, 3)
    bench.run(line)
    target = 4 if line.startswith("s_addk") else 6
    assert bench.wave.s[target] == expected


def test_select_and_shift_pairs(bench: Any) -> None:
    bench.set_scalar(4, 5, 0, 40)
    bench.run(
        "s_cmp_eq_u32 s4, 5", "s_cselect_b64 s[8:9], -1, 0", "s_lshl_b64 s[10:11], s[4:5], s6"
    )
    assert bench.wave.get64(8) == 2**64 - 1
    assert bench.wave.get64(10) == 5 << 40


def test_undefined_bits_are_followed_through_masks(bench: Any) -> None:
    bench.set_scalar(4, 0x0000FFFF)
    bench.run("s_and_b32 s6, s4, s20")
    assert bench.wave.su[6] == 0x0000FFFF  # zero bits of s4 decide alone
    bench.run("s_add_i32 s6, s4, s20")
    assert bench.wave.su[6] == 0xFFFFFFFF


@pytest.mark.parametrize(("value", "lowest"), [(0, -1), (1, 0), (0x8000, 15), (1 << 40, 40)])
def test_lowest_bit_of_a_pair(bench: Any, value: int, lowest: int) -> None:
    bench.set_scalar(4, value & (M - 1), value >> 32)
    bench.run("s_ff1_i32_b64 s6, s[4:5]", "s_bcnt1_i32_b64 s7, s[4:5]")
    assert bench.wave.s[6] == lowest % M
    assert bench.wave.s[7] == value.bit_count()
