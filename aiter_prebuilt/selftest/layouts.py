"""The layouts in which kernels expect their operands, on plain bytes (facts: ROCm/aiter 9bab8388).

``shuffle_weight`` and ``shuffle_scale`` are those of ``aiter/ops/shuffle.py``; the scales of MX
activations lie in the order of the sorted rows (``moe_mxfp4_sort`` of
``aiter/utility/fp4_utils.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

_TILE_ROWS = 16
_VECTOR = 16
"""Bytes of a row that stand together in a tile of weights."""
_SCALE_ROWS = 32
_SCALE_BLOCKS = 8


def shuffle_weight(data: bytes, width: int, vector: int = _VECTOR) -> bytes:
    """Return rows of ``width`` bytes in tiles of 16 rows, ``vector`` bytes a row at a time."""
    return b"".join(
        data[row * width + column : row * width + column + vector]
        for tile in range(0, len(data) // width, _TILE_ROWS)
        for column in range(0, width, vector)
        for row in range(tile, tile + _TILE_ROWS)
    )


def shuffle_int4(data: bytes, width: int) -> bytes:
    """Return int4 values, a byte each, shuffled and packed two a byte.

    32 values of a row at a time; of eight values that share four bytes the even ones come first.
    """
    codes = shuffle_weight(data, width, vector=32).translate(bytes(b & 15 for b in range(256)))
    packed = bytearray(len(codes) // 2)
    for at, low, high in ((0, 0, 2), (1, 4, 6), (2, 1, 3), (3, 5, 7)):
        packed[at::4] = _or_shifted(codes[low::8], codes[high::8])
    return bytes(packed)


def _or_shifted(low: bytes, high: bytes) -> bytes:
    """Each byte of ``high`` in the upper half over that of ``low``: both hold four bits."""
    both = int.from_bytes(low, "little") | int.from_bytes(high, "little") << 4
    return both.to_bytes(len(low), "little")


def shuffle_scale(data: bytes, blocks: int) -> bytes:
    """Return (rows, blocks) e8m0 in tiles of 32 rows by 8 blocks.

    Four neighbours are what one lane of a scaled MFMA needs: rows r and r+16, blocks b and b+4.
    """
    out = bytearray(len(data))
    start = 0
    for row in range(0, len(data) // blocks, _SCALE_ROWS):
        for block in range(0, blocks, _SCALE_BLOCKS):
            for part in range(16):
                lane, quarter, half = part >> 2, part >> 1 & 1, part & 1
                at = (row + 16 * half) * blocks + block + 4 * quarter + lane
                place = start + 64 * lane + 2 * quarter + half
                out[place : place + 64 : 4] = data[at : at + 16 * blocks : blocks]
            start += _SCALE_ROWS * _SCALE_BLOCKS
    return bytes(out)


def sorted_scales(data: bytes, blocks: int, rows: Sequence[int | None], undefined: int) -> bytes:
    """Return the scales of ``rows`` (None: a row of padding, all ``undefined``), shuffled."""
    padding = bytes([undefined]) * blocks
    found = b"".join(
        padding if row is None else data[row * blocks : (row + 1) * blocks] for row in rows
    )
    whole = -(-len(rows) // _SCALE_ROWS) * _SCALE_ROWS
    return shuffle_scale(found + padding * (whole - len(rows)), blocks)
