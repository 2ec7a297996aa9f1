"""Operands at the ends of what AITER's quantisers give, for the third problem of every kernel.

Rows of activations and columns of weights get factors that are powers of two, so that gates reach
from -1e5 to 1e5 and far beyond, results go from denormal to infinite, and the bytes of e8m0 scales
from 0 to 254.  Further rows and columns hold zeros, one single value, NaN or infinity.  What AITER
gives (v0.1.20.post1, ``csrc/kernels/quant_kernels.cu`` and ``aiter/ops/quant.py``):

- e8m0 of activations: 1e-10 or more over 6, rounded up to a power of two: 92 to 253.  Its torch and
  triton quantisers, which models use for weights, give 0 for a block of zeros, and 255, which is
  NaN, for one that holds NaN or infinity.
- float32 of fp8 and int8: the largest value over the type's, 1e-10 / 448 to 7.6e35; a row of zeros
  has the scale 0 from the kernel, with codes that need not be zero.
- 16-bit activations are whatever the layer before gave: infinity and NaN among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
Index = tuple[Any, ...]

ROWS = 15
"""Rows of activations that this module fills, fewer than any kernel's block has."""
EXPERT = 2
"""The only expert that has rows."""
ROUTED_WEIGHTS = (1.0, 0.5, 2.5, 0.0, 1.0, 2.0**-20, 3.0)
"""So placed that what may overflow before them is not made small by them: the order is free."""

_ROW_POWERS = (0, 4, 5, 6, 9, 60, 100, -40, -62, -90)
_ZERO, _OUTLIER, _FAINT, _NAN, _INFINITE = range(10, ROWS)
_COLUMN_POWERS = (0, 4, 5, 6, 9, 8, -8, 0)
_UP_POWERS = (0, 0, -8, 8, 0)
"""So low that the product of two scales, which kernels compute first, stays finite."""
_LARGE, _NEGATIVE, _EMPTY, _BROKEN, _EDGE = 3, 4, 5, 6, 7
"""Columns: one value under the largest scale, the same below zero, zeros, a NaN, see below."""
_EDGE_ROW, _EDGE_FLOAT_ROW = 14, 9
"""Rows that give -88 with the column of that name: there 1 + exp(88) has a denormal reciprocal."""
_NAN_BYTE, _TOP_BYTE = 255, 254
_HIGHEST_GIVEN, _LOWEST_GIVEN = 253, 92
_TOP_SCALE, _LOW_SCALE = np.float32(7.6e35), np.float32(1e-10 / 448)
_PLACE = -5
"""K of a single value: in the last step of the loop, and in the last block of a scale."""
_WIDE = 128
_OF_BLOCK = 2
"""Whose power a block of 128 columns gets."""
_POWER_OF_TENSOR = 3

BF16, F16 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16)
_RANGES = {BF16: (2.0**128 - 2.0**120, 2.0**-126), F16: (65504.0, 2.0**-14)}
"""Largest and smallest normal number."""
FP4, FP8, INT4 = "fp4", np.dtype(ml_dtypes.float8_e4m3fn), np.dtype(np.int8)
_LOWEST_FP8 = 0xFE
"""-448."""


@dataclass(frozen=True, kw_only=True)
class Operand:
    """Activations (rows, bytes) or weights (experts, rows, bytes), changed in place."""

    codes: U8
    scales: npt.NDArray[Any] | None
    dtype: Any
    """NumPy's type of a value; :data:`FP4` for two values a byte."""

    @property
    def mx(self) -> bool:
        """Whether scales are e8m0."""
        return self.scales is not None and self.scales.dtype == np.uint8

    @property
    def floats(self) -> bool:
        """Whether values are floats of 16 bits, without scales."""
        return self.scales is None

    def values(self) -> npt.NDArray[Any]:
        """Return the codes as values."""
        return self.codes.view(self.dtype)


def sharpen_activations(operand: Operand) -> None:
    """Fill the :data:`ROWS` rows of activations."""
    powers = np.zeros(ROWS, np.int64)
    powers[: len(_ROW_POWERS)] = _ROW_POWERS
    _scale(operand, powers)
    _clear(operand, (_ZERO,))
    if not operand.floats and not operand.mx and operand.scales is not None:
        _zero_scale(operand)
    _single(operand, (_OUTLIER,), 1, top=_HIGHEST_GIVEN)
    _single(operand, (_FAINT,), 1, top=_LOWEST_GIVEN)
    _break(operand, (_NAN,))
    if operand.floats:
        operand.values()[_INFINITE, _PLACE] = np.inf
    _pair(operand, (_EDGE_FLOAT_ROW if operand.floats else _EDGE_ROW,), (4.0, 1.5), 16)


def sharpen_weights(operand: Operand, *, gated: bool) -> None:
    """Fill the weights of :data:`EXPERT`: columns, or gate columns and then up columns."""
    rows = operand.codes.shape[1]
    columns = rows // 2 if gated else rows
    powers = np.zeros(operand.codes.shape[:2], np.int64)
    powers[EXPERT, :columns] = np.resize(_COLUMN_POWERS, columns)
    if gated:
        powers[EXPERT, columns:] = np.resize(_UP_POWERS, columns)
    _scale(operand, powers)
    if operand.mx or operand.floats:
        _single(operand, (EXPERT, _LARGE), 1, top=_TOP_BYTE)
        _single(operand, (EXPERT, _NEGATIVE), -1, top=_TOP_BYTE)
    _clear(operand, (EXPERT, _EMPTY))
    _pair(operand, (EXPERT, _EDGE), (-1.0, -1.0), 1)
    if operand.dtype is not INT4:
        _break(operand, (EXPERT, rows - columns + _BROKEN))


def _scale(operand: Operand, powers: npt.NDArray[np.int64]) -> None:
    """Multiply rows by powers of two, as far as the operand can hold them."""
    scales = operand.scales
    if scales is None:
        values = operand.values()
        largest, _ = _RANGES[operand.dtype]
        wide = np.ldexp(values.astype(np.float64), powers[..., None])
        values[...] = np.clip(wide, -largest, largest).astype(operand.dtype)
    elif operand.mx:
        scales[...] = np.clip(scales + powers[..., None], 0, _TOP_BYTE).astype(np.uint8)
    elif scales.shape[:-1] == powers.shape:
        scales[...] = np.ldexp(scales, powers[..., None])
    elif scales.shape[-2] > 1:  # a scale for 128 rows
        scales[...] = np.ldexp(scales, powers[..., _OF_BLOCK::_WIDE, None])
    else:  # one scale: what rows can have of their own are smaller codes
        sizes = (operand.codes & 0x7F).astype(np.int64) + 8 * np.minimum(powers, 0)[..., None]
        operand.codes[...] = (operand.codes & 0x80) | np.maximum(sizes, 0).astype(np.uint8)
        scales[...] = np.ldexp(scales, _POWER_OF_TENSOR)


def _clear(operand: Operand, at: Index) -> None:
    """Make a row zero, with the scale that zeros get."""
    operand.codes[at] = 0
    if operand.scales is not None and operand.mx:
        operand.scales[at] = 0


def _zero_scale(operand: Operand) -> None:
    """Give the row of zeros the scale of the kernel that quantised it."""
    scales = operand.scales
    if scales is None or scales.shape[0] != ROWS:
        return
    if scales.shape[1] > 1:  # blocks of 128: no scale is below this one
        scales[_ZERO] = _LOW_SCALE
        return
    scales[_ZERO] = 0
    operand.codes[_ZERO] = _LOWEST_FP8


def _single(operand: Operand, at: Index, value: int, *, top: int) -> None:
    """Leave one value of a row, one or minus one, under a scale at the end of the range.

    ``top`` is its e8m0 byte; float32 scales and 16-bit values get what corresponds.
    """
    _clear(operand, at)
    scales, high = operand.scales, top > _LOWEST_GIVEN
    if operand.dtype is FP4:
        code = (2 if value > 0 else 10) << 4  # K is odd: the high nibble
        operand.codes[(*at, _PLACE // 2)] = code
    elif operand.floats:
        largest, smallest = _RANGES[operand.dtype]
        operand.values()[(*at, _PLACE)] = value * (largest if high else smallest)
    else:
        operand.values()[(*at, _PLACE)] = value
    if scales is not None and operand.mx:
        scales[(*at, -1)] = top
    elif scales is not None and scales.shape[0] == ROWS:
        scales[at] = _LOW_SCALE
        scales[(*at, -1)] = _TOP_SCALE if high else _LOW_SCALE


def _pair(operand: Operand, at: Index, values: tuple[float, float], factor: int) -> None:
    """Leave two values of a row, under a scale of its own: ``factor``, a power of two."""
    scales = operand.scales
    if scales is not None and scales.shape[:-1] != operand.codes.shape[:-1]:
        return  # other rows share the scale
    _clear(operand, at)
    if operand.dtype is FP4:
        low, high = (_FP4_CODES[value] for value in values)
        operand.codes[(*at, _PLACE // 2)] = low | high << 4
    else:
        inner = factor if scales is None else 1
        operand.values()[(*at, slice(_PLACE - 1, _PLACE + 1))] = [one * inner for one in values]
    if scales is not None and operand.mx:
        scales[(*at, -1)] = 127 + factor.bit_length() - 1
    elif scales is not None:
        scales[(*at, -1)] = factor


_FP4_CODES = {4.0: 6, 1.5: 3, -1.0: 10}


def _break(operand: Operand, at: Index) -> None:
    """Put a NaN into a row: a value where the format has one, else a scale."""
    if operand.scales is not None and operand.mx:
        operand.scales[(*at, -1)] = _NAN_BYTE
    else:
        operand.values()[(*at, _PLACE)] = np.nan
