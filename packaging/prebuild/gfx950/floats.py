"""Floating-point arithmetic with single rounding, and denormals as MODE says."""

from __future__ import annotations

import numpy as np

from prebuild.gfx950.arrays import F32, F64, U32, Any32

_EXPONENT = np.uint32(0x7F800000)
_SIGN = np.uint32(0x80000000)


def flush(data: F32) -> F32:
    """Return ``data`` with denormals replaced by zero of the same sign."""
    bits: U32 = data.view(np.uint32)
    small = (bits & _EXPONENT) == 0
    if not small.any():
        return data
    return np.where(small, bits & _SIGN, bits).view(np.float32)


def fma32(left: F32, right: F32, addend: F32) -> F32:
    """Return ``left * right + addend`` rounded once."""
    return fma64(left, right, addend).astype(np.float32)


def fma64(left: F32, right: F32, addend: F32) -> F64:
    """Return ``left * right + addend`` so that rounding it to float32 rounds once.

    The product of two floats is exact in float64.  The sum is rounded to odd there (Boldo and
    Melquiond), so that the second rounding, to float32, is as if the first had not been; a power
    of two may come in between.
    """
    product: F64 = np.asarray(left).astype(np.float64) * np.asarray(right).astype(np.float64)
    return round_odd_sum(product, np.asarray(addend).astype(np.float64))


def round_odd_sum(left: F64, right: F64) -> F64:
    """Return ``left + right`` in float64, rounded to odd."""
    total = left + right
    back = total - left
    error = (left - (total - back)) + (right - back)
    inexact = (error != 0) & np.isfinite(total) & np.isfinite(error)
    if not inexact.any():
        return total
    bits = np.ascontiguousarray(total).view(np.int64)
    even = inexact & ((bits & 1) == 0)
    away = (error > 0) == (total > 0)
    stepped = np.where(away, bits + 1, bits - 1)
    return np.where(even, stepped, bits).view(np.float64)


def bf16_bits(data: F32) -> U32:
    """Return float32 rounded to bfloat16 (nearest even), as 16 bits; a NaN stays one."""
    bits: U32 = np.ascontiguousarray(data).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(data), quiet, rounded)


def bf16_value(bits: Any32) -> F32:
    """Return bfloat16, given as the low 16 bits, as float32."""
    raised: U32 = np.ascontiguousarray(bits).astype(np.uint32) << np.uint32(16)
    return raised.view(np.float32)


def exponent(data: F32) -> Any32:
    """Return the biased exponent field."""
    bits: U32 = np.asarray(data).view(np.uint32)
    return ((bits >> np.uint32(23)) & np.uint32(0xFF)).astype(np.int32)
