"""Layouts against the place of each byte, written out."""

from __future__ import annotations

import numpy as np

from prebuild.verify.layouts import shuffle_int4, shuffle_scale, shuffle_weight, sort_scales
from prebuild.verify.problems import Batch, route


def test_where_a_byte_of_a_weight_lands() -> None:
    random = np.random.default_rng(0)
    weight = random.integers(0, 256, (2, 32, 96), dtype=np.uint8)
    flat = shuffle_weight(weight).reshape(-1)
    for expert, row, byte in zip(
        random.integers(0, 2, 200), random.integers(0, 32, 200), random.integers(0, 96, 200),
        strict=True,
    ):  # fmt: skip
        place = (
            expert * 32 * 96 + row // 16 * 16 * 96 + byte // 16 * 256 + row % 16 * 16 + byte % 16
        )
        assert flat[place] == weight[expert, row, byte]


def test_where_a_scale_lands() -> None:
    random = np.random.default_rng(0)
    scales = random.integers(0, 256, (64, 16), dtype=np.uint8)
    flat = shuffle_scale(scales).reshape(-1)
    for row in range(64):
        for block in range(16):
            tile = row // 32 * 32 * 16 + block // 8 * 256
            place = tile + block % 4 * 64 + row % 16 * 4 + block % 8 // 4 * 2 + row % 32 // 16
            assert flat[place] == scales[row, block]


def test_scales_follow_the_sorted_rows_and_padding_is_undefined() -> None:
    batch = Batch.of(stage=1, tokens=5, topk=2, experts=4, n=32, k=256, block_m=32)
    routing = route(batch, 3)
    scales = np.arange(40, dtype=np.uint8).reshape(5, 8)
    data, shadow = sort_scales(scales, routing, per_slot=False, topk=2)
    rows = -(-routing.sorted_ids.size // 32) * 32
    plain = np.empty((rows, 8), np.uint8)
    hidden = np.empty((rows, 8), np.uint8)
    for row in range(rows):
        for block in range(8):
            place = (
                row // 32 * 256 + block % 4 * 64 + row % 16 * 4 + block // 4 * 2 + row % 32 // 16
            )
            plain[row, block] = data.reshape(-1)[place]
            hidden[row, block] = shadow.reshape(-1)[place]
    for row, entry in enumerate(routing.sorted_ids.tolist()):
        real = entry >> 24 < 2 and row < routing.valid
        assert (hidden[row] == (0 if real else 0xFF)).all()
        if real:
            assert (plain[row] == scales[entry & 0xFFFFFF]).all()


def test_where_an_int4_lands() -> None:
    random = np.random.default_rng(0)
    values = random.integers(-8, 8, (2, 32, 96), dtype=np.int8)
    flat = shuffle_int4(values.view(np.uint8)).reshape(-1)
    places = {0: 0, 2: 1, 4: 2, 6: 3, 1: 4, 3: 5, 5: 6, 7: 7}  # of a nibble among eight
    for expert, row, k in zip(
        random.integers(0, 2, 200), random.integers(0, 32, 200), random.integers(0, 96, 200),
        strict=True,
    ):  # fmt: skip
        start = (
            expert * 32 * 96 + row // 16 * 16 * 96 + k // 32 * 512 + row % 16 * 32 + k % 32 // 8 * 8
        )
        nibble = start + places[int(k) % 8]
        code = flat[nibble // 2] >> 4 * (nibble % 2) & 15
        assert (int(code) ^ 8) - 8 == values[expert, row, k]
