"""Matrix instructions against ml_dtypes and exact sums, with the lane maps written out as loops."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

TYPES = {
    0: ml_dtypes.float8_e4m3fn,
    1: ml_dtypes.float8_e5m2,
    2: ml_dtypes.float6_e2m3fn,
    3: ml_dtypes.float6_e3m2fn,
    4: ml_dtypes.float4_e2m1fn,
}
BITS = {0: 8, 1: 8, 2: 6, 3: 6, 4: 4}
REGISTERS = {0: 8, 1: 8, 2: 6, 3: 6, 4: 4}


def decode(codes: np.ndarray, kind: int) -> np.ndarray:
    return codes.astype(np.uint8).view(TYPES[kind]).astype(np.float64)


def place(bench: Any, register: int, codes: np.ndarray, kind: int, groups: int) -> None:
    """Put a (side, K) matrix of codes into registers, value by value.

    AMD's layout: lane g*side + i holds row i.  The 32 values of a lane follow each other in the
    lane's bits; for 8-bit formats the first 16 are K = 16g.., the others half of K further on.
    """
    side, depth = codes.shape
    lanes = [0] * 64
    for row in range(side):
        for k in range(depth):
            if BITS[kind] == 8:
                group, place_in_half = divmod(k % (depth // 2), 16)
                position = place_in_half + 16 * (k // (depth // 2))
            else:
                group, position = divmod(k, 32)
            lanes[group * side + row] |= int(codes[row, k]) << (BITS[kind] * position)
    assert groups == 64 // side
    for offset in range(REGISTERS[kind]):
        bench.set(register + offset, [lane >> (32 * offset) & 0xFFFFFFFF for lane in lanes])


def random_codes(random: np.random.Generator, kind: int, shape: tuple[int, int]) -> np.ndarray:
    codes = random.integers(0, 1 << BITS[kind], shape)
    while True:
        bad = ~np.isfinite(decode(codes, kind))
        if not bad.any():
            return codes
        codes[bad] = random.integers(0, 1 << BITS[kind], int(bad.sum()))


def exact_sum(a: np.ndarray, b: np.ndarray, c: float) -> float:
    total = Fraction(c)
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        total += Fraction(x) * Fraction(y)
    return float(np.float32(float(total)))


def element(bench: Any, register: int, side: int, row: int, column: int) -> float:
    """Read element (row, column) of D by the ISA's map."""
    if side == 16:
        lane, offset = 16 * (row // 4) + column, row % 4
    else:
        lane, offset = 32 * (row // 4 % 2) + column, 4 * (row // 8) + row % 4
    return float(bench.wave.frows[register + offset][lane])


def pair(first: int, count: int) -> str:
    return f"v[{first}:{first + count - 1}]"


@pytest.mark.parametrize(("side", "depth"), [(16, 128), (32, 64)])
@pytest.mark.parametrize("kind_a", range(5))
@pytest.mark.parametrize("kind_b", range(5))
def test_every_mix_of_formats(bench: Any, side: int, depth: int, kind_a: int, kind_b: int) -> None:
    random = np.random.default_rng(kind_a * 5 + kind_b)
    a = random_codes(random, kind_a, (side, depth))
    b = random_codes(random, kind_b, (side, depth))
    place(bench, 10, a, kind_a, 64 // side)
    place(bench, 30, b, kind_b, 64 // side)
    registers = side * side // 64
    for offset in range(registers):
        bench.set(50 + offset, np.float32(offset + 0.5))
    bench.run(
        f"v_mfma_f32_{side}x{side}x{depth}_f8f6f4 {pair(70, registers)},"
        f" {pair(10, REGISTERS[kind_a])}, {pair(30, REGISTERS[kind_b])}, {pair(50, registers)}"
        f" cbsz:{kind_a} blgp:{kind_b}"
    )
    values_a, values_b = decode(a, kind_a), decode(b, kind_b)
    for row, column in random.integers(0, side, (40, 2)).tolist():
        offset = row % 4 if side == 16 else 4 * (row // 8) + row % 4
        expected = exact_sum(values_a[row], values_b[column], offset + 0.5)
        assert element(bench, 70, side, row, column) == expected


@pytest.mark.parametrize("select_a", range(4))
@pytest.mark.parametrize("select_b", range(4))
def test_scales_and_their_selects(bench: Any, select_a: int, select_b: int) -> None:
    random = np.random.default_rng(select_a * 4 + select_b)
    a, b = random_codes(random, 4, (16, 128)), random_codes(random, 4, (16, 128))
    place(bench, 10, a, 4, 4)
    place(bench, 30, b, 4, 4)
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
        assert element(bench, 70, 16, row, column) == float(np.float32(float(total)))


def test_a_scale_of_0xff_is_nan_for_its_row_alone(bench: Any) -> None:
    ones = np.full((16, 128), 2)  # fp4 code 2 is 1.0
    place(bench, 10, ones, 4, 4)
    place(bench, 30, ones, 4, 4)
    scales = np.full(64, 127)
    scales[16 * 2 + 5] = 0xFF  # row 5, K 64 to 95
    bench.set(90, scales)
    bench.set(91, 127)
    bench.run(
        "v_mfma_scale_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0, v90, v91"
        " op_sel_hi:[0,0,0] cbsz:4 blgp:4"
    )
    for row in range(16):
        value = element(bench, 70, 16, row, 9)
        assert np.isnan(value) if row == 5 else value == 128.0


def test_scale_zero_is_the_smallest_power(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4, 4)
    place(bench, 30, ones, 4, 4)
    bench.set(90, 0)
    bench.set(91, 254)
    bench.run(
        "v_mfma_scale_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0, v90, v91"
        " op_sel_hi:[0,0,0] cbsz:4 blgp:4"
    )
    assert element(bench, 70, 16, 3, 3) == 128.0


@pytest.mark.parametrize(
    ("side", "depth", "kind"),
    [(16, 16, "bf16"), (16, 32, "bf16"), (32, 8, "bf16"), (32, 16, "f16"), (16, 32, "f16"),
     (16, 32, "fp8_fp8"), (32, 16, "fp8_fp8"), (16, 32, "bf8_fp8")],
)  # fmt: skip
def test_dense_formats(bench: Any, side: int, depth: int, kind: str) -> None:
    types = {
        "bf16": ml_dtypes.bfloat16, "f16": np.float16,
        "fp8": ml_dtypes.float8_e4m3fn, "bf8": ml_dtypes.float8_e5m2,
    }  # fmt: skip
    random = np.random.default_rng(depth)
    names = kind.split("_") if "_" in kind else [kind, kind]
    per_lane = side * depth // 64
    matrices, registers = [], []
    for name, first in zip(names, (10, 30), strict=True):
        matrix = random.uniform(-2, 2, (side, depth)).astype(types[name])
        width = matrix.itemsize
        lanes = [b""] * 64
        for lane in range(64):
            start = lane // side * per_lane
            lanes[lane] = matrix[lane % side, start : start + per_lane].tobytes()
        registers.append(per_lane * width // 4)
        for offset in range(registers[-1]):
            words = [int.from_bytes(raw[4 * offset : 4 * offset + 4], "little") for raw in lanes]
            bench.set(first + offset, words)
        matrices.append(matrix.astype(np.float64))
    count = side * side // 64
    bench.run(
        f"v_mfma_f32_{side}x{side}x{depth}_{kind} {pair(70, count)}, {pair(10, registers[0])},"
        f" {pair(30, registers[1])}, 0"
    )
    for row, column in random.integers(0, side, (40, 2)).tolist():
        expected = exact_sum(matrices[0][row], matrices[1][column], 0.0)
        assert element(bench, 70, side, row, column) == expected


def test_lanes_that_are_off_take_part(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4, 4)
    place(bench, 30, ones, 4, 4)
    bench.wave.set_exec(1)
    bench.run("v_mfma_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0 cbsz:4 blgp:4")
    assert all(element(bench, 70, 16, row, 15 - row) == 128.0 for row in range(16))


def test_an_undefined_row_stays_in_its_row(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4, 4)
    place(bench, 30, ones, 4, 4)
    bench.wave.vu[11] = 1 << 37  # lane 37 holds row 5
    bench.run("v_mfma_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0 cbsz:4 blgp:4")
    for row in range(16):
        lanes = 0xFFFF << (16 * (row // 4))
        expected = lanes if row == 5 else 0
        assert bench.undefined(70 + row % 4) & lanes == expected


def test_only_the_selected_scale_byte_counts_as_undefined(bench: Any) -> None:
    ones = np.full((16, 128), 2)
    place(bench, 10, ones, 4, 4)
    place(bench, 30, ones, 4, 4)
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
    place(bench, 10, a[::-1], 4, 4)
    place(bench, 30, b, 4, 4)
    bench.run("v_mfma_f32_16x16x128_f8f6f4 v[70:73], v[10:13], v[30:33], 0 cbsz:4 blgp:4")
    expected = exact_sum(decode(a, 4)[2], decode(b, 4)[7], 0.0)
    assert element(bench, 70, 16, 2, 7) != expected
    assert element(bench, 70, 16, 13, 7) == expected
