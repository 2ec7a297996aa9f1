"""Comparisons: every verb against Python, lanes off, NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

VALUES = [1.0, 2.0, math.nan, -math.inf, 0.0, -0.0, math.inf, 2.0]
OTHERS = [2.0, 1.0, 1.0, math.nan, -0.0, 0.0, math.inf, 2.0]
FLOAT_TESTS = {
    "lt": lambda a, b: a < b, "eq": lambda a, b: a == b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b, "lg": lambda a, b: a < b or a > b, "ge": lambda a, b: a >= b,
    "o": lambda a, b: not (math.isnan(a) or math.isnan(b)),
    "u": lambda a, b: math.isnan(a) or math.isnan(b),
    "nge": lambda a, b: not a >= b, "nlg": lambda a, b: not (a < b or a > b),
    "ngt": lambda a, b: not a > b, "nle": lambda a, b: not a <= b, "neq": lambda a, b: a != b,
    "nlt": lambda a, b: not a < b,
}  # fmt: skip


@pytest.mark.parametrize("name", FLOAT_TESTS)
def test_floats(bench: Any, name: str) -> None:
    bench.set(1, np.array(VALUES * 8, np.float32))
    bench.set(2, np.array(OTHERS * 8, np.float32))
    bench.run(f"v_cmp_{name}_f32_e32 vcc, v1, v2")
    expected = [int(FLOAT_TESTS[name](a, b)) for a, b in zip(VALUES, OTHERS, strict=True)]
    assert [bench.wave.get64(106) >> lane & 1 for lane in range(8)] == expected


@pytest.mark.parametrize(("kind", "expected"), [("i32", 0b01), ("u32", 0b10)])
def test_signed_and_unsigned(bench: Any, kind: str, expected: int) -> None:
    bench.set(1, np.where(np.arange(64) == 0, -1, 1))
    bench.set(2, np.where(np.arange(64) == 0, 1, 0xFFFFFFFF))
    bench.run(f"v_cmp_lt_{kind}_e64 s[4:5], v1, v2")
    assert bench.wave.get64(4) & 3 == expected


def test_64_bits_with_a_scalar(bench: Any) -> None:
    bench.set_scalar(4, 0, 1)
    bench.set(2, 0xFFFFFFFF)
    bench.set(3, np.where(np.arange(64) < 4, 0, 1))
    bench.run("v_cmp_gt_i64_e32 vcc, s[4:5], v[2:3]")
    assert bench.wave.get64(106) == 0xF


def test_lanes_off_give_zero(bench: Any) -> None:
    bench.set(1, 1)
    bench.wave.set_exec(0b1010)
    bench.run("v_cmp_eq_u32_e32 vcc, 1, v1")
    assert bench.wave.get64(106) == 0b1010


def test_undefined_lanes_give_undefined_bits(bench: Any) -> None:
    bench.set(1, 1)
    bench.wave.vu[1] = 0b100
    bench.run("v_cmp_eq_u32_e32 vcc, 1, v1")
    assert bench.wave.su[106] == 0b100
