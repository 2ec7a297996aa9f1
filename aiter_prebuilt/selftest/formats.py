"""Number formats of operands: values drawn from a seed as bytes, and what the bytes mean.

The formats are OCP's (fp4 e2m1, fp8 e4m3, e8m0) and IEEE's, under the names of
:mod:`aiter_prebuilt.kinds`.
"""

from __future__ import annotations

import hashlib
import math
import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from aiter_prebuilt.values import value_class

NAN_E8M0 = 0xFF


@value_class(frozen=True, kw_only=True)
class Format:
    """How an operand holds its values."""

    bits: int
    """Of one value in the logical layout; int4 takes a byte there."""
    rms: float
    """Root mean square of what :attr:`draw` gives; bf16 and f16 are drawn to any."""
    draw: Callable[[bytes, float], bytes]
    """Random bytes and the root mean square that is wanted -> finite values of this format."""
    decode: Callable[[bytes], list[float]]


def stream(seed: int, label: str, count: int) -> bytes:
    """Return ``count`` bytes that depend on ``seed`` and ``label`` alone (SHAKE-128)."""
    return hashlib.shake_128(f"{seed}/{label}".encode()).digest(count)


_FP4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_FP4_SIGNED = (*_FP4, *(-value for value in _FP4))
_FP4_PAIRS = tuple((_FP4_SIGNED[byte & 15], _FP4_SIGNED[byte >> 4]) for byte in range(256))


def _e4m3(byte: int) -> float:
    exponent, mantissa = byte >> 3 & 15, byte & 7
    if byte & 0x7F == 0x7F:  # noqa: PLR2004  the one NaN, of either sign
        return math.nan
    size = math.ldexp(mantissa, -9) if exponent == 0 else math.ldexp(8 + mantissa, exponent - 10)
    return -size if byte & 0x80 else size


E4M3 = tuple(_e4m3(byte) for byte in range(256))
_NO_NAN = bytes(0 if byte & 0x7F == 0x7F else byte for byte in range(256))  # noqa: PLR2004
_INT4 = bytes((byte % 16 - 8) % 256 for byte in range(256))


def _bf16(raw: bytes, rms: float) -> bytes:
    """Any sign and mantissa, exponents over four powers of two."""
    top = round(math.log2(rms / 0.88)) + 127 >> 1
    high = bytes((byte & 0x80) | (top - (byte & 1)) for byte in range(256))
    return _joined(raw, raw[: len(raw) // 2].translate(high))


def _f16(raw: bytes, rms: float) -> bytes:
    top = round(math.log2(rms / 0.88)) + 15
    high = bytes((byte & 0x83) | (top - (byte >> 5 & 3)) << 2 for byte in range(256))
    return _joined(raw, raw[: len(raw) // 2].translate(high))


def _joined(raw: bytes, high: bytes) -> bytes:
    out = bytearray(2 * len(high))
    out[0::2], out[1::2] = raw[len(raw) - len(high) :], high
    return bytes(out)


def decode_bf16(data: bytes) -> list[float]:
    """Return bfloat16 values: the upper half of a float32 each."""
    wide = bytearray(2 * len(data))
    wide[2::4], wide[3::4] = data[0::2], data[1::2]
    return list(struct.unpack(f"<{len(data) // 2}f", wide))


def decode_f16(data: bytes) -> list[float]:
    """Return half-precision values."""
    return list(struct.unpack(f"<{len(data) // 2}e", data))


def round_f32(values: Sequence[float]) -> list[float]:
    """Return the float32 values nearest to ``values``."""
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))


FORMATS: Mapping[str, Format] = {
    "fp4x2": Format(
        bits=4,
        rms=math.sqrt(8.59375),
        draw=lambda raw, _rms: raw,
        decode=lambda data: list(chain.from_iterable(map(_FP4_PAIRS.__getitem__, data))),
    ),
    "f8": Format(
        bits=8,
        rms=92.0,
        draw=lambda raw, _rms: raw.translate(_NO_NAN),
        decode=lambda data: list(map(E4M3.__getitem__, data)),
    ),
    "i4": Format(
        bits=8,
        rms=4.6,
        draw=lambda raw, _rms: raw.translate(_INT4),
        decode=lambda data: list(map(float, array("b", data))),
    ),
    "b16": Format(bits=16, rms=1.0, draw=_bf16, decode=decode_bf16),
    "f16": Format(bits=16, rms=1.0, draw=_f16, decode=decode_f16),
}
"""AITER's short name -> format."""


@value_class(frozen=True, kw_only=True)
class OutFormat:
    """How a kernel writes its results."""

    width: int
    """Bytes of an element."""
    roundoff: float
    """Unit roundoff."""
    smallest: float
    """Smallest normal number: what is smaller may be flushed."""
    overflow: float
    """What is beyond it is rounded to infinity."""
    mark: bytes
    """A NaN that no arithmetic gives, the output's content before a launch of stage 1."""
    decode: Callable[[bytes], list[float]]


NEGATIVE_ZERO = b"\x00\x80"
"""Of both formats of two bytes: what stage 2 adds to, so that an element nobody added to shows."""

OUT_FORMATS: Mapping[str, OutFormat] = {
    "b16": OutFormat(
        width=2,
        roundoff=2.0**-8,
        smallest=2.0**-126,
        overflow=(1 - 2.0**-9) * 2.0**128,
        mark=b"\xa5\x7f",
        decode=decode_bf16,
    ),
    "f16": OutFormat(
        width=2,
        roundoff=2.0**-11,
        smallest=2.0**-14,
        overflow=65520.0,
        mark=b"\xa5\x7d",
        decode=decode_f16,
    ),
}

SUMS = OutFormat(
    width=4,
    roundoff=2.0**-24,
    smallest=2.0**-126,
    overflow=(2 - 2.0**-23) * 2.0**127,
    mark=b"\xa5\x00\xa5\x7f",
    decode=lambda data: list(struct.unpack(f"<{len(data) // 4}f", data)),
)
"""float32: the sums of a split K, whatever the module's output is."""
