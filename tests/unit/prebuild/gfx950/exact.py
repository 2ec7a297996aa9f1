"""Float formats by their definitions, in exact fractions: the oracle of the float instructions."""

from __future__ import annotations

import math
from fractions import Fraction

INFINITY, NAN = 0x7F800000, 0x7FC00000
SIGN = 1 << 31


def value_of(bits: int) -> Fraction | float:
    """Decode float32; a float only where it is NaN or infinite."""
    sign, power, mantissa = bits >> 31, bits >> 23 & 0xFF, bits & 0x7FFFFF
    if power == 0xFF:
        return math.nan if mantissa else (-math.inf if sign else math.inf)
    scaled = Fraction(mantissa + ((1 << 23) if power else 0), 1 << 23)
    value = scaled * Fraction(2) ** (max(power, 1) - 127)
    return -value if sign else value


def finite(*bits: int) -> bool:
    """Whether every float32 is neither NaN nor infinite."""
    return all(bit >> 23 & 0xFF != 0xFF for bit in bits)


def rounded(exact: Fraction, *, zero_sign: int = 0, fraction: int = 23, exponent: int = 8) -> int:
    """Encode an exact value: nearest, ties to even, overflow to infinity.

    A format has a sign, ``exponent`` bits and ``fraction`` bits; float32 is the default.  A value
    that is zero has the sign ``zero_sign``, one that rounds to zero has its own.
    """
    sign, size = (int(exact < 0), abs(exact)) if exact else (zero_sign, exact)
    bias = (1 << (exponent - 1)) - 1
    top = sign << (fraction + exponent)
    if size == 0:
        return top
    power = max(size.numerator.bit_length() - size.denominator.bit_length() - 1, -bias)
    while size >= Fraction(2) ** (power + 1):
        power += 1
    power = max(power, 1 - bias)
    units = size / Fraction(2) ** (power - fraction)
    whole, rest = divmod(units, 1)
    whole = int(whole)
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole & 1):
        whole += 1
    if whole >= 2 << fraction:
        whole, power = whole >> 1, power + 1
    if power > bias:
        return top | ((1 << exponent) - 1) << fraction
    hidden = 1 << fraction
    return top | (whole - hidden + ((power + bias) << fraction) if whole >= hidden else whole)


def flushed(bits: int) -> int:
    """Return float32 with a denormal replaced by zero of its sign."""
    return bits if bits >> 23 & 0xFF else bits & SIGN


def is_nan(bits: int) -> bool:
    """Whether float32 is NaN."""
    return bits & ~SIGN > INFINITY


def same(found: int, expected: int) -> bool:
    """Whether two float32 are the same bits, or both NaN (which one is not modelled)."""
    return found == expected or (is_nan(found) and is_nan(expected))
