"""Numbers at the ends of what a kernel meets, put into a problem's rows.

The four patterns of activations and the gate columns of weights get factors that are powers of two,
so that gates reach from -1e3 to 1e3 and results are large and small; one row of activations has a
single value under the largest scale that AITER's quantisers give, one has NaN (infinity where
values are floats), and one column of weights is zero.  The build's problems go further
(``prebuild.verify.extremes``): they may hold NaN everywhere.
"""

from __future__ import annotations

import math
import struct

from aiter_prebuilt.values import value_class

ROW_POWERS = (0, 5, 9, -40)
"""Of the patterns of activations."""
SINGLE, BROKEN = 4, 5
"""Further patterns."""
SPECIAL_ROWS = {5: SINGLE, 10: BROKEN}
"""Row of activations -> its pattern; the smallest block has 13 rows of tokens."""
EMPTY = 5
"""Column of weights that is zero."""
_COLUMN_POWERS = (0, 4, 5, 0, 8, 0, -8, 0)
TENSOR_FACTOR = 8
"""Of the scale of each operand where it has only one."""
_HALF_POWER = 6
"""The most that half-precision values are raised or lowered by."""
_PLACE = 5
"""K of a single value, from the end: in the last step, and in the last block of a scale."""
_LARGEST_SCALE = 7.6e35
"""The largest bfloat16 over the largest e4m3 value."""
_HIGHEST, _TOP, _NAN_BYTE = 253, 254, 255
_CODES = {
    "fp4x2": (b"\x20", b"\x20", 3),
    "f8": (b"\x38", b"\x7f", _PLACE),
    "b16": (b"\x7f\x7f", b"\x80\x7f", 2 * _PLACE),
    "f16": (b"\xff\x7b", b"\x00\x7c", 2 * _PLACE),
}
"""Format -> a value (one, or the largest float), what is not finite, their bytes from the end.

fp4 has nothing that is not finite: there the scale is NaN.
"""


@value_class(frozen=True, kw_only=True)
class Exponent:
    """Where a 16-bit float has its exponent."""

    shift: int
    largest: int
    """Of a finite number."""


_EXPONENTS = {
    "b16": Exponent(shift=7, largest=254),
    "f16": Exponent(shift=10, largest=30),
}


def column_power(row: int, each: int, *, gated: bool) -> int:
    """Power of a row of weights, ``each`` of them an expert's: gate columns, then up columns."""
    column = row % each
    if gated and column >= each // 2:
        return 0
    return _COLUMN_POWERS[column % len(_COLUMN_POWERS)]


def raised(form: str, row: bytes, power: int) -> bytes:
    """Return a row times two to a power, where its values are floats of 16 bits."""
    place = _EXPONENTS.get(form)
    if place is None or power == 0:
        return row
    if form == "f16":
        power = max(-_HALF_POWER, min(power, _HALF_POWER))
    mask = (1 << (place.largest + 1).bit_length()) - 1
    words = []
    for word in struct.unpack(f"<{len(row) // 2}H", row):
        old = word >> place.shift & mask
        new = max(1, min(old + power, place.largest))
        words.append(word + (new - old << place.shift))
    return struct.pack(f"<{len(words)}H", *words)


def special(form: str, width: int, *, broken: bool) -> bytes:
    """Return a row of zeros but for one value."""
    value, nan, place = _CODES[form]
    row = bytearray(width)
    chosen = nan if broken else value
    row[width - place : width - place + len(chosen)] = chosen
    return bytes(row)


def mx_line(line: bytes, pattern: int) -> bytes:
    """Return the e8m0 scales of a pattern of activations, made from random ones."""
    if pattern == SINGLE:
        return bytes(len(line) - 1) + bytes([_HIGHEST])
    if pattern == BROKEN:
        return line[:-1] + bytes([_NAN_BYTE])
    return mx_raised(line, ROW_POWERS[pattern])


def mx_raised(line: bytes, power: int) -> bytes:
    """Return e8m0 scales times two to a power."""
    return bytes(max(0, min(byte + power, _TOP)) for byte in line)


def float_line(line: tuple[float, ...], pattern: int) -> tuple[float, ...]:
    """Return the float32 scales of a pattern of activations, made from random ones."""
    if pattern == SINGLE:
        return (*line[:-1], struct.unpack("<f", struct.pack("<f", _LARGEST_SCALE))[0])
    power = 0 if pattern == BROKEN else ROW_POWERS[pattern]
    return tuple(math.ldexp(factor, power) for factor in line)
