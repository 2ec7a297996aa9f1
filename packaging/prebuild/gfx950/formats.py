"""Small float formats as tables of float64: fp4, fp6, bf6, fp8, bf8 (OCP) and e8m0 scales.

Each table is computed from the format's definition (OCP Microscaling Formats, OFP8): sign,
exponent with bias, mantissa, denormals at exponent 0.
"""

from __future__ import annotations

import numpy as np

from prebuild.gfx950.arrays import F64, U8


def _table(exponent_bits: int, mantissa_bits: int, bias: int) -> F64:
    width = 1 + exponent_bits + mantissa_bits
    values = np.empty(1 << width)
    for code in range(1 << width):
        mantissa = code & ((1 << mantissa_bits) - 1)
        power = (code >> mantissa_bits) & ((1 << exponent_bits) - 1)
        hidden = 1 if power else 0
        scale = 2.0 ** (max(power, 1) - bias - mantissa_bits)
        sign = -1.0 if code >> (width - 1) else 1.0
        values[code] = sign * (mantissa + (hidden << mantissa_bits)) * scale
    return values


def _e4m3() -> F64:
    values = _table(4, 3, 7)
    values[0x7F] = values[0xFF] = np.nan
    return values


def _e5m2() -> F64:
    values = _table(5, 2, 15)
    for sign in (0, 0x80):
        values[sign | 0x7C] = -np.inf if sign else np.inf
        values[[sign | 0x7D, sign | 0x7E, sign | 0x7F]] = np.nan
    return values


E2M1 = _table(2, 1, 1)
E2M3 = _table(2, 3, 1)
E3M2 = _table(3, 2, 3)
E4M3 = _e4m3()
E5M2 = _e5m2()
E8M0 = np.append(2.0 ** (np.arange(255.0) - 127), np.nan)
"""Scale byte -> factor; 0xFF is NaN."""

E2M1_PAIRS = np.stack([E2M1[np.arange(256) & 15], E2M1[np.arange(256) >> 4]], axis=1)
"""Byte -> its two fp4 values, the low nibble first."""


def unpack_fp4(data: U8) -> F64:
    """Return two values a byte along the last axis."""
    pairs = E2M1_PAIRS[data]
    return pairs.reshape(*data.shape[:-1], data.shape[-1] * 2)


def unpack_six(data: U8, table: F64) -> F64:
    """Return four values for each three bytes along the last axis (6-bit codes, low bits first)."""
    bits = np.unpackbits(data, axis=-1, bitorder="little")
    codes = bits.reshape(*data.shape[:-1], -1, 6) @ (1 << np.arange(6))
    return table[codes]
