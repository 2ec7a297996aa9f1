"""The instructions around a division: scale out of the extremes, finish, put special cases right.

LLVM divides by Newton's steps between ``v_div_scale`` (twice), ``v_div_fmas`` and ``v_div_fixup``.
The ISA document gives the scaling by what a reciprocal or a quotient would be; the hardware looks
at encoded exponents (ROCm/rocm-systems#11613: numerical probes of gfx1100 and gfx1201 agree with
it), and so does this module.
"""

from __future__ import annotations

import numpy as np

from prebuild.gfx950.arrays import F32, F64, Any32, Lanes, every_lane, lanes_of, mask_of
from prebuild.gfx950.disassembly import VCC, Instruction
from prebuild.gfx950.floats import exponent, fma64
from prebuild.gfx950.isa.registry import Run, Traits, instruction
from prebuild.gfx950.isa.shapes import float_put, float_result, per_lane, sources_of
from prebuild.gfx950.isa.sources import (
    lane_shadow,
    lanes_f32,
    set_scalar64,
    vector_destination,
)
from prebuild.gfx950.wave import Wave

_BIAS = 127
_FAR = 96
"""Exponents of numerator and denominator that differ by so much: the quotient is scaled."""
_LARGE, _SMALL = 253, 24
"""A denominator from here on has a denormal reciprocal; a numerator up to here is tiny."""
_SCALE = 64


@instruction("v_div_scale_f32")
def _div_scale(found: Instruction) -> Run:
    """Prepare a division: scale source 0 (numerator or denominator) out of the extremes."""
    register = vector_destination(found)
    put_flag = set_scalar64(found, found.operands[1])
    sources = sources_of(found, 3, first=2)
    reads = [lanes_f32(found, operand, at) for at, operand in enumerate(sources)]
    shadow, finish = lane_shadow(sources), float_result(found)

    def run(wave: Wave) -> None:
        data, condition = div_scale(*[every_lane(read(wave)) for read in reads])
        undefined = shadow(wave)
        wave.put_f32(register, finish(wave, data), undefined)
        put_flag(wave, mask_of(condition) & wave.exec, undefined & wave.exec)

    return run


def div_scale(chosen: F32, denominator: F32, numerator: F32) -> tuple[F32, Lanes]:
    """Return the scaled source, and the flag that makes ``v_div_fmas`` scale back, of each lane.

    Both sources are scaled alike where that alone helps; where the quotient is near an end, one of
    them is, and the flag says so.  Exponents are the encoded ones.
    """
    top, bottom = exponent(numerator), exponent(denominator)
    distance = top - bottom
    if _plain(top, bottom, distance):
        return chosen, np.zeros(chosen.shape, np.bool_)
    is_denominator = chosen.view(np.uint32) == denominator.view(np.uint32)
    is_numerator = chosen.view(np.uint32) == numerator.view(np.uint32)
    none, up, down = np.zeros(64, np.int32), np.full(64, _SCALE), np.full(64, -_SCALE)
    near_zero = distance <= -_FAR
    cases = [
        (distance >= _FAR, np.where(is_denominator, up, none), True),
        (bottom == 0, up, False),
        ((bottom >= _LARGE) & near_zero, np.where(is_denominator, down, none), True),
        (bottom >= _LARGE, down, False),
        (near_zero, np.where(is_numerator, up, none), True),
        (top <= _SMALL, up, False),
    ]
    conditions = [case[0] for case in cases]
    power = np.select(conditions, [case[1] for case in cases], 0)
    flags = np.select(conditions, [np.full(64, case[2]) for case in cases], False)
    undefined = (numerator == 0) | (denominator == 0)
    data = np.where(undefined, np.float32(np.nan), np.ldexp(chosen, power)).astype(np.float32)
    return data, flags & ~undefined


def _plain(top: Any32, bottom: Any32, distance: Any32) -> bool:
    """Whether no lane is near an extreme: nothing is scaled, nothing is special."""
    normal = (top > _SMALL) & (top < 255) & (bottom > 0) & (bottom < _LARGE)
    return bool((normal & (np.abs(distance) < _FAR)).all())


@instruction("v_div_fmas_f32", traits=Traits(reads=(VCC, VCC + 1)))
def _div_fmas(found: Instruction) -> Run:
    """Last step of a division: fused multiply-add, scaled back where VCC says so, rounded once.

    The ISA document gives 2**32 as the factor; the hardware takes 2**64 or 2**-64 by the size of
    the estimate (source 2), as tinygrad's emulator, checked against hardware, records.
    """
    register = vector_destination(found)
    sources = sources_of(found, 3)
    reads = [lanes_f32(found, operand, at) for at, operand in enumerate(sources)]
    shadow, finish = lane_shadow(sources), float_result(found)

    def run(wave: Wave) -> None:
        left, right, addend = (read(wave) for read in reads)
        data = div_fmas(left, right, addend, lanes_of(wave.get64(VCC)))
        undefined = shadow(wave) | wave.su[VCC] | wave.su[VCC + 1] << 32
        wave.put_f32(register, finish(wave, data), undefined)

    return run


def div_fmas(left: F32, right: F32, addend: F32, scaled: Lanes) -> F32:
    """Return ``left * right + addend``, times 2**64 or 2**-64 where ``scaled``."""
    total: F64 = fma64(left, right, addend)
    if scaled.any():
        power = np.where(exponent(addend) > _BIAS, _SCALE, -_SCALE)
        total = np.where(scaled, np.ldexp(total, power), total)
    return total.astype(np.float32)


@instruction("v_div_fixup_f32")
def _div_fixup(found: Instruction) -> Run:
    """Put the special cases of a division right; source 0 is the quotient."""

    def fixed(*sources: F32) -> F32:
        quotient, bottom, top = (every_lane(source) for source in sources)
        return div_fixup(quotient, bottom, top)

    return per_lane(found, fixed, sources_of(found, 3), read=lanes_f32, put=float_put(found))


def div_fixup(quotient: F32, bottom: F32, top: F32) -> F32:
    """Return the quotient with NaN, infinity, zero, underflow, overflow and sign put right.

    Newton's steps make NaN of a quotient far above float32 (infinity minus infinity); C wants
    infinity there, and the compiler emits nothing else for it.
    """
    sign = np.signbit(bottom) ^ np.signbit(top)
    plain = np.where(sign, -np.abs(quotient), np.abs(quotient))
    distance = exponent(top) - exponent(bottom)
    if _plain(exponent(top), exponent(bottom), distance) and not np.isnan(quotient).any():
        return plain
    zero = np.where(sign, np.float32(-0.0), np.float32(0.0))
    infinite = np.where(sign, np.float32(-np.inf), np.float32(np.inf))
    nan = np.full(64, np.nan, np.float32)
    conditions = [
        np.isnan(top) | np.isnan(bottom),
        ((top == 0) & (bottom == 0)) | (np.isinf(top) & np.isinf(bottom)),
        (bottom == 0) | np.isinf(top),
        np.isinf(bottom) | (top == 0),
        distance < -150,
        np.isnan(quotient),
    ]
    results = [nan, nan, infinite, zero, zero, infinite]
    return np.select(conditions, results, plain).astype(np.float32)
