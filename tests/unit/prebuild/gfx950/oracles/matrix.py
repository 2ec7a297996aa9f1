"""Matrix instructions against ml_dtypes and exact sums, the lane maps written out as loops."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np

from tests.unit.prebuild.gfx950.exact import rounded
from tests.unit.prebuild.gfx950.oracles.kit import Check, Kit

TYPES = {
    0: ml_dtypes.float8_e4m3fn,
    1: ml_dtypes.float8_e5m2,
    2: ml_dtypes.float6_e2m3fn,
    3: ml_dtypes.float6_e3m2fn,
    4: ml_dtypes.float4_e2m1fn,
}
BITS = {0: 8, 1: 8, 2: 6, 3: 6, 4: 4}
REGISTERS = {0: 8, 1: 8, 2: 6, 3: 6, 4: 4}
DENSE = {
    "bf16": ml_dtypes.bfloat16,
    "f16": np.float16,
}


def decode(codes: np.ndarray, kind: int) -> np.ndarray:
    return codes.astype(np.uint8).view(TYPES[kind]).astype(np.float64)


def place(bench: Any, register: int, codes: np.ndarray, kind: int) -> None:
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
    for offset in range(REGISTERS[kind]):
        bench.set(register + offset, [lane >> (32 * offset) & 0xFFFFFFFF for lane in lanes])


def random_codes(random: np.random.Generator, kind: int, shape: tuple[int, int]) -> np.ndarray:
    codes = random.integers(0, 1 << BITS[kind], shape)
    while True:
        bad = ~np.isfinite(decode(codes, kind))
        if not bad.any():
            return codes
        codes[bad] = random.integers(0, 1 << BITS[kind], int(bad.sum()))


_UNIT = 40
"""All values of the formats, and those of bf16 and f16 that are used here, are whole 2**-40."""


def whole(values: np.ndarray) -> np.ndarray:
    """Return values as Python's integers, in units of 2**-40."""
    scaled = values * 2.0**_UNIT
    assert (scaled == np.rint(scaled)).all()
    return np.array([[int(value) for value in row] for row in scaled.tolist()], object)


def exact_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return A times B transposed, exactly, in units of 2**-80."""
    return whole(a) @ whole(b).T


def check_result(bench: Any, side: int, total: np.ndarray, unit: int) -> None:
    """Hold every element of D, from v70 on, against exact values in units of 2**-unit."""
    for row in range(side):
        c = Fraction(c_at(side, row))
        for column in range(side):
            exact = Fraction(total[row, column], 1 << unit) + c
            assert element(bench, 70, side, row, column) == rounded(exact), (row, column)


def element(bench: Any, register: int, side: int, row: int, column: int) -> int:
    """Read element (row, column) of D by the ISA's map, as bits."""
    if side == 16:
        lane, offset = 16 * (row // 4) + column, row % 4
    else:
        lane, offset = 32 * (row // 4 % 2) + column, 4 * (row // 8) + row % 4
    return int(bench.wave.rows[register + offset][lane])


def number(bench: Any, register: int, side: int, row: int, column: int) -> float:
    """Read element (row, column) of D as a number."""
    return float(np.uint32(element(bench, register, side, row, column)).view(np.float32))


def pair(first: int, count: int) -> str:
    return f"v[{first}:{first + count - 1}]"


def shape_of(mnemonic: str) -> tuple[int, int]:
    found = re.search(r"_(\d+)x\d+x(\d+)_", mnemonic)
    assert found
    return int(found[1]), int(found[2])


def set_c(bench: Any, count: int) -> None:
    """Give C, from v50 on, a number a register: offset plus a half."""
    for offset in range(count):
        bench.set(50 + offset, np.float32(offset + 0.5))


def c_at(side: int, row: int) -> float:
    return (row % 4 if side == 16 else 4 * (row // 8) + row % 4) + 0.5


def check_mix(kit: Kit, mnemonic: str, kind_a: int, kind_b: int) -> None:
    """One mix of the small formats, without scales or with random ones in random bytes."""
    side, depth = shape_of(mnemonic)
    random = np.random.default_rng(kind_a * 5 + kind_b)
    a, b = random_codes(random, kind_a, (side, depth)), random_codes(random, kind_b, (side, depth))
    bench = kit.bench()
    place(bench, 10, a, kind_a)
    place(bench, 30, b, kind_b)
    count = side * side // 64
    set_c(bench, count)
    picks = random.integers(0, 4, 2).tolist()
    scales = random.integers(0, 2**32, (2, 64)) & 0x07070707 | 0x78787878
    bench.set(90, scales[0])
    bench.set(91, scales[1])
    scaled = "_scale_" in mnemonic
    words = (
        f", v90, v91 op_sel:[{picks[0] & 1},{picks[1] & 1},0]"
        f" op_sel_hi:[{picks[0] >> 1},{picks[1] >> 1},0]"
    )
    bench.run(
        f"{mnemonic} {pair(70, count)}, {pair(10, REGISTERS[kind_a])},"
        f" {pair(30, REGISTERS[kind_b])}, {pair(50, count)}{words if scaled else ''}"
        f" cbsz:{kind_a} blgp:{kind_b}"
    )
    values_a, values_b = decode(a, kind_a), decode(b, kind_b)
    total = np.zeros((side, side), object)
    for block in range(depth // 32):
        cut = slice(32 * block, 32 * block + 32)
        part = exact_product(values_a[:, cut], values_b[:, cut])
        if scaled:
            part = part * np.outer(
                *[_factors(scales[which], picks[which], block, side) for which in range(2)]
            )
        total = total + part
    check_result(bench, side, total, 2 * _UNIT + (2 * _LEAST if scaled else 0))


_LEAST = 7
"""The smallest scale here is 2**-7, code 0x78."""


def _factors(scales: np.ndarray, pick: int, block: int, side: int) -> np.ndarray:
    """Return each row's scale of one block of K, byte ``pick`` of its lane, in units of 2**-7."""
    codes = [int(word) >> 8 * pick & 0xFF for word in scales[side * block : side * block + side]]
    return np.array([2 ** (code - 127 + _LEAST) for code in codes], object)


def check_small_formats(kit: Kit, mnemonic: str) -> None:
    for kind_a, kind_b in ((4, 4), (0, 0), (0, 4), (1, 2), (3, 1)):
        check_mix(kit, mnemonic, kind_a, kind_b)


def check_dense(kit: Kit, mnemonic: str) -> None:
    side, depth = shape_of(mnemonic)
    kinds = mnemonic.split(f"x{depth}_")[1].split("_")
    random = np.random.default_rng(depth)
    per_lane, bench = side * depth // 64, kit.bench()
    matrices, names = [], []
    for kind, first in zip((kinds[0], kinds[-1]), (10, 30), strict=True):
        matrix = random.uniform(-2, 2, (side, depth)).astype(DENSE[kind])
        registers = per_lane * matrix.itemsize // 4
        for offset in range(registers):
            bench.set(first + offset, [_word(matrix, lane, offset) for lane in range(64)])
        names.append(pair(first, registers))
        matrices.append(matrix.astype(np.float64))
    count = side * side // 64
    set_c(bench, count)
    bench.run(f"{mnemonic} {pair(70, count)}, {names[0]}, {names[1]}, {pair(50, count)}")
    check_result(bench, side, exact_product(*matrices), 2 * _UNIT)


def _word(matrix: np.ndarray, lane: int, offset: int) -> int:
    """Return one dword of a lane, which holds consecutive K values of one row."""
    side, depth = matrix.shape
    count = side * depth // 64
    start = lane // side * count
    raw = matrix[lane % side, start : start + count].tobytes()
    return int.from_bytes(raw[4 * offset : 4 * offset + 4], "little")


CHECKS: dict[str, Check] = {
    **{f"v_mfma_{scale}f32_16x16x128_f8f6f4": check_small_formats for scale in ("", "scale_")},
    **{f"v_mfma_f32_16x16x32_{kind}": check_dense for kind in DENSE},
}
