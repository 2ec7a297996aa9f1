"""The layouts on bytes against those of the build side, which are written with NumPy."""

from __future__ import annotations

import numpy as np

from aiter_prebuilt.selftest import layouts
from prebuild.verify import layouts as build_side

RANDOM = np.random.default_rng(5)


def test_weights() -> None:
    data = RANDOM.integers(0, 256, (3, 64, 128), np.uint8)
    got = layouts.shuffle_weight(data.tobytes(), 128)
    assert got == build_side.shuffle_weight(data).tobytes()


def test_int4() -> None:
    data = RANDOM.integers(-8, 8, (2, 32, 96), np.int8).view(np.uint8)
    assert layouts.shuffle_int4(data.tobytes(), 96) == build_side.shuffle_int4(data).tobytes()


def test_scales() -> None:
    data = RANDOM.integers(0, 256, (96, 24), np.uint8)
    assert layouts.shuffle_scale(data.tobytes(), 24) == build_side.shuffle_scale(data).tobytes()


def test_scales_of_sorted_rows_with_padding() -> None:
    data = RANDOM.integers(0, 200, (4, 8), np.uint8)
    rows = [2, None, 0, None, *([3] * 31)]
    want = np.full((64, 8), 0xFF, np.uint8)
    for at, row in enumerate(rows):
        if row is not None:
            want[at] = data[row]
    got = layouts.sorted_scales(data.tobytes(), 8, rows, 0xFF)
    assert got == build_side.shuffle_scale(want).tobytes()
