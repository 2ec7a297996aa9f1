"""Matrix instructions: every mix of formats, scales, lanes that are off, undefined rows."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.unit.prebuild.gfx950.oracles.kit import Kit
from tests.unit.prebuild.gfx950.oracles.matrix import (
    check_mix,
    decode,
    number,
    place,
    random_codes,
)


@pytest.mark.parametrize("kind_a", range(5))
@pytest.mark.parametrize("kind_b", range(5))
@pytest.mark.parametrize("scale", ["", "scale_"])
def test_every_mix_of_formats(kit: Kit, kind_a: int, kind_b: int, scale: str) -> None:
    check_mix(kit, f"v_mfma_{scale}f32_16x16x128_f8f6f4", kind_a, kind_b)


@pytest.mark.parametrize("select_a", range(4))
@pytest.mark.parametrize("select_b", range(4))
def test_scales_and_their_selects(bench: Any, select_a: int, select_b: int) -> None:
    random = np.random.default_rng(select_a * 4 + select_b)
    a, b = random_codes(random, 4, (16, 128)), random_codes(random, 4, (16, 128))
    place(bench, 10, a, 4)
    place(bench, 30, b, 4)
    for register in (90, 91):
        bench.set(register, random.integers(0, 2**32, 64) & 0x0F0F0F0F | 0x70707070)
    bench.run(
        "v_mfma_scale_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0, v90, v91"
        f" op_sel:[{select_a & 1},{select_b & 1},0] op_sel_hi:[{select_a >> 1},{select_b >> 1},0]"
        " cbsz:4 blgp:4"
    )
    values_a, values_b = decode(a, 4), decode(b, 4)
    for row, column in random.integers(0, 16, (60, 2)).tolist():
        total = Fraction(0)
        for block in range(4):
            part = sum(
                Fraction(values_a[row, k]) * Fraction(values_b[column, k])
                for k in range(32 * block, 32 * block + 32)
            )
            power = sum(
                (bench.ints(register)[16 * block + index] >> 8 * select & 0xFF) - 127
                for register, index, select in ((90, row, select_a), (91, column, select_b))
            )
            total += part * Fraction(2) ** power
        assert number(bench, 70, 16, row, column) == float(np.float32(float(total)))


def test_a_scale_of_0xff_is_nan_for_its_row_alone(bench: Any) -> None:
    ones = np.full((16, 128), 2)  # fp4 code 2 is 1.0
    place(bench, 10, ones, 4)
    place(bench, 30, ones, 4)
    scales = np.full(64, 127)
    scales[16 * 2 + 5] = 0xFF  # row 5, K 64 to 95
    bench.set(90, scales)
    bench.set(91, 127)
    bench.run(
        "v_mfma_scale_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0, v90, v91"
        " op_sel_hi:[0,0,0] cbsz:4 blgp:4"
    )
    for row in range(16):
        value = number(bench, 70, 16, row, 9)
        assert np.isnan(value) if row == 5 else value == 128.0


def test_scale_zero_is_the_smallest_power(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4)
    place(bench, 30, ones, 4)
    bench.set(90, 0)
    bench.set(91, 254)
    bench.run(
        "v_mfma_scale_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0, v90, v91"
        " op_sel_hi:[0,0,0] cbsz:4 blgp:4"
    )
    assert number(bench, 70, 16, 3, 3) == 128.0


def test_lanes_that_are_off_take_part(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4)
    place(bench, 30, ones, 4)
    bench.wave.set_exec(1)
    bench.run("v_mfma_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0 cbsz:4 blgp:4")
    assert all(number(bench, 70, 16, row, 15 - row) == 128.0 for row in range(16))


def test_an_undefined_row_stays_in_its_row(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4)
    place(bench, 30, ones, 4)
    bench.wave.vu[11] = 1 << 37  # lane 37 holds row 5
    bench.run("v_mfma_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0 cbsz:4 blgp:4")
    for row in range(16):
        lanes = 0xFFFF << (16 * (row // 4))
        expected = lanes if row == 5 else 0
        assert bench.undefined(70 + row % 4) & lanes == expected


def test_only_the_selected_scale_byte_counts_as_undefined(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4)
    place(bench, 30, ones, 4)
    bench.set(90, 0x7F7F7F7F)
    bench.set(91, 0x7F7F7F7F)
    bench.wave.vu[90] = 1 << (64 * 2 + 5)  # byte 2 of lane 5
    text = (
        "v_mfma_scale_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0, v90, v91"
        " op_sel_hi:[{},0,0] cbsz:4 blgp:4"
    )
    bench.run(text.format(0))
    assert all(bench.undefined(70 + offset) == 0 for offset in range(4))
    bench.run(text.format(1))
    assert bench.undefined(71) == 0xFFFF << 16


def test_a_wrong_lane_map_would_be_seen(bench: Any) -> None:
    """The check of the checks: rows swapped between lanes change the result."""
    random = np.random.default_rng(3)
    a, b = random_codes(random, 4, (16, 128)), random_codes(random, 4, (16, 128))
    place(bench, 10, a[::-1], 4)
    place(bench, 30, b, 4)
    bench.run("v_mfma_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0 cbsz:4 blgp:4")
    expected = float(decode(a, 4)[2] @ decode(b, 4)[7])
    assert number(bench, 70, 16, 2, 7) != expected
    assert number(bench, 70, 16, 13, 7) == expected
