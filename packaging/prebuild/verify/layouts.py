"""The layouts in which kernels expect their operands (facts: ROCm/aiter 9bab8388).

``shuffle_weight`` and ``shuffle_scale`` are those of ``aiter/ops/shuffle.py``; ``sort_scales`` is
``moe_mxfp4_sort`` of ``aiter/utility/fp4_utils.py``.
"""

from __future__ import annotations

import numpy as np

from prebuild.verify.problems import U8, Routing

_TOKEN = 0xFFFFFF
_SLOT_SHIFT = 24


def shuffle_weight(weight: U8) -> U8:
    """Return (experts, rows, bytes) in tiles of 16 rows, 16 bytes a row at a time."""
    experts, rows, width = weight.shape
    tiles = weight.reshape(experts, rows // 16, 16, width // 16, 16)
    return np.ascontiguousarray(tiles.transpose(0, 1, 3, 2, 4)).reshape(weight.shape)


def shuffle_int4(weight: U8) -> U8:
    """Return int4 values, a byte each, (experts, rows, k), shuffled and packed two a byte.

    Tiles of 16 rows, 32 values of a row at a time; of eight values that share four bytes the even
    ones come first (``shuffle_weight`` with ``use_int4``, ``aiter/int4_utils.py``).
    """
    experts, rows, k = weight.shape
    tiles = weight.reshape(experts, rows // 16, 16, k // 32, 32).transpose(0, 1, 3, 2, 4)
    eights = tiles.reshape(-1, 8)[:, [0, 2, 4, 6, 1, 3, 5, 7]] & np.uint8(15)
    packed = eights[:, 0::2] | eights[:, 1::2] << np.uint8(4)
    return np.ascontiguousarray(packed).reshape(experts, rows, k // 2)


def shuffle_scale(scales: U8) -> U8:
    """Return (rows, blocks) in tiles of 32 rows by 8 blocks.

    The rows must be a multiple of 32 and the blocks one of 8.  Four neighbouring bytes are what
    one lane of a scaled MFMA needs: rows r and r+16, blocks b and b+4.
    """
    rows, blocks = scales.shape
    tiles = scales.reshape(rows // 32, 2, 16, blocks // 8, 2, 4)
    return np.ascontiguousarray(tiles.transpose(0, 3, 5, 2, 4, 1)).reshape(rows, blocks)


def sort_scales(scales: U8, routing: Routing, *, per_slot: bool, topk: int) -> tuple[U8, U8]:
    """Return the activation scales in the order of ``sorted_ids``, shuffled, and their shadow.

    A row beyond ``valid`` or of padding has no scale: its shadow is 0xFF (undefined).
    """
    ids = routing.sorted_ids
    rows = -(-ids.size // 32) * 32
    tokens, slots = ids & _TOKEN, ids >> _SLOT_SHIFT
    source = tokens * topk + slots if per_slot else tokens
    real = (slots < topk) & (np.arange(ids.size) < routing.valid)
    data = np.full((rows, scales.shape[1]), 0xA5, np.uint8)
    shadow = np.full((rows, scales.shape[1]), 0xFF, np.uint8)
    data[: ids.size][real] = scales[source[real]]
    shadow[: ids.size][real] = 0
    return shuffle_scale(data), shuffle_scale(shadow)
