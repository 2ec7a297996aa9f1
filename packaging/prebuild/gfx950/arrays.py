"""Array types of the executor, and the few bit helpers that every part needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Lanes = npt.NDArray[np.bool_]
Any32 = npt.NDArray[Any]

WAVE = 64
"""Lanes of a wave; gfx950 has no wave32."""
ALL = (1 << WAVE) - 1
"""Lane mask with every lane set."""
M32 = 0xFFFFFFFF


def lanes_of(mask: int) -> Lanes:
    """Return the 64 bits of ``mask`` as booleans, lane 0 first."""
    raw = np.frombuffer(mask.to_bytes(8, "little"), dtype=np.uint8)
    return np.unpackbits(raw, bitorder="little").view(np.bool_)


def mask_of(lanes: Lanes) -> int:
    """Return 64 booleans as an integer, lane 0 in bit 0."""
    return int.from_bytes(np.packbits(lanes, bitorder="little").tobytes(), "little")


def every_lane(data: Any32) -> Any32:
    """Return a value a lane: an array of 64 as it is, a scalar repeated."""
    return data if np.ndim(data) else np.full(WAVE, data)


def signed32(value: int) -> int:
    """Read the low 32 bits as two's complement."""
    return ((value & M32) ^ 0x80000000) - 0x80000000


def signed64(value: int) -> int:
    """Read the low 64 bits as two's complement."""
    return ((value & ALL) ^ (1 << 63)) - (1 << 63)
