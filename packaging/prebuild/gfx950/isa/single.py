"""Vector float32 arithmetic, the division helpers and the transcendental functions.

Arithmetic is rounded once, to nearest even, with MODE's denormal handling on sources and results.
The transcendental instructions are modelled as correctly rounded and flush denormals; the hardware
may be off by one unit in the last place, which the tolerance of a kernel allows for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import F32, F64, Any32, every_lane, lanes_of, mask_of
from prebuild.gfx950.disassembly import VCC, Instruction
from prebuild.gfx950.floats import exponent, flush, fma32
from prebuild.gfx950.isa.registry import Run, instruction
from prebuild.gfx950.isa.sources import (
    float32_of,
    lane_shadow,
    lanes32,
    lanes_f32,
    vector_destination,
)
from prebuild.gfx950.wave import Wave

Function = Callable[..., F32]
_BIAS = 127


def _maximum(left: F32, right: F32) -> F32:
    return np.fmax(left, right)


def _minimum(left: F32, right: F32) -> F32:
    return np.fmin(left, right)


def _median(a: F32, b: F32, c: F32) -> F32:
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


_ARITHMETIC: dict[str, tuple[Function, int]] = {
    "v_add_f32": (lambda a, b: a + b, 2),
    "v_sub_f32": (lambda a, b: a - b, 2),
    "v_subrev_f32": (lambda a, b: b - a, 2),
    "v_mul_f32": (lambda a, b: a * b, 2),
    "v_max_f32": (_maximum, 2),
    "v_min_f32": (_minimum, 2),
    "v_max3_f32": (lambda a, b, c: _maximum(_maximum(a, b), c), 3),
    "v_min3_f32": (lambda a, b, c: _minimum(_minimum(a, b), c), 3),
    "v_med3_f32": (_median, 3),
    "v_fma_f32": (fma32, 3),
    "v_rndne_f32": (np.rint, 1),
    "v_floor_f32": (np.floor, 1),
    "v_ceil_f32": (np.ceil, 1),
    "v_trunc_f32": (np.trunc, 1),
}


def _wide(function: Callable[[F64], F64]) -> Function:
    def apply(data: F32) -> F32:
        exact = function(flush(data).astype(np.float64)).astype(np.float32)
        return flush(np.asarray(exact))

    return apply


_TRANSCENDENTAL: dict[str, Function] = {
    "v_exp_f32": _wide(np.exp2),
    "v_log_f32": _wide(np.log2),
    "v_rcp_f32": _wide(lambda x: 1.0 / x),
    "v_rcp_iflag_f32": _wide(lambda x: 1.0 / x),
    "v_rsq_f32": _wide(lambda x: 1.0 / np.sqrt(x)),
    "v_sqrt_f32": _wide(np.sqrt),
}


def result_float(wave: Wave, found: Instruction, data: F32) -> F32:
    """Apply output modifiers, then flush a denormal result as MODE says."""
    if "mul" in found.modifiers:
        data = data * np.float32(found.modifiers["mul"])
    if "div" in found.modifiers:
        data = data * np.float32(0.5)
    if "clamp" in found.modifiers:
        data = np.where(np.isnan(data), np.float32(0), np.clip(data, 0, 1)).astype(np.float32)
    return data if wave.denorm32 & 2 else flush(np.asarray(data))


def _vector(found: Instruction, function: Function, count: int) -> Run:
    register = vector_destination(found)
    reads = [lanes_f32(found, position) for position in range(count)]
    shadow = lane_shadow(found.operands[1:])
    if len(found.operands) != count + 1:
        raise found.unsupported(f"expected {count} sources")

    def run(wave: Wave) -> None:
        data = function(*[read(wave) for read in reads])
        wave.put_f32(register, result_float(wave, found, data), shadow(wave))

    return run


def _enter(mnemonic: str, function: Function, count: int) -> None:
    instruction(mnemonic, modifiers="mul div clamp")(lambda found: _vector(found, function, count))


for _name, (_function, _count) in _ARITHMETIC.items():
    _enter(_name, _function, _count)
for _name, _function in _TRANSCENDENTAL.items():
    _enter(_name, _function, 1)


@instruction("v_fmac_f32", "v_fmamk_f32", "v_fmaak_f32")
def _fmac(found: Instruction) -> Run:
    """Fused multiply-add whose addend is the destination, or a literal in place (mk, ak)."""
    register = vector_destination(found)
    operands = found.operands
    order = operands[1:] if len(operands) == 4 else (*operands[1:3], operands[0])
    reads = [float32_of(found, operand, position) for position, operand in enumerate(order)]
    shadow = lane_shadow(order)

    def run(wave: Wave) -> None:
        data = fma32(*[read(wave) for read in reads])
        wave.put_f32(register, result_float(wave, found, data), shadow(wave))

    return run


@instruction("v_ldexp_f32")
def _ldexp(found: Instruction) -> Run:
    """Scale source 0 by two to the power of source 1, an integer."""
    register = vector_destination(found)
    base, power = lanes_f32(found, 0), lanes32(found, 1)
    shadow = lane_shadow(found.operands[1:])

    def run(wave: Wave) -> None:
        amount = np.clip(power(wave).view(np.int32), -1000, 1000)
        data = np.ldexp(base(wave).astype(np.float64), amount).astype(np.float32)
        wave.put_f32(register, result_float(wave, found, data), shadow(wave))

    return run


@instruction("v_div_scale_f32")
def _div_scale(found: Instruction) -> Run:
    """Prepare a division: scale source 0 (numerator or denominator) out of the extremes.

    By the ISA document; what the helper after it, v_div_fmas, does with VCC is there described
    wrongly (see there).
    """
    register = vector_destination(found)
    flag = found.operands[1].index
    reads = [float32_of(found, operand, 0) for operand in found.operands[2:5]]
    shadow = lane_shadow(found.operands[2:5])

    def run(wave: Wave) -> None:
        data, condition = div_scale(*[every_lane(read(wave)) for read in reads])
        undefined = shadow(wave)
        wave.put_f32(register, result_float(wave, found, data), undefined)
        wave.set_pair(flag, mask_of(condition) & wave.exec, undefined & wave.exec)

    return run


def div_scale(chosen: F32, denominator: F32, numerator: F32) -> tuple[F32, Any32]:
    """Return the scaled source and the condition flag of each lane."""
    top, bottom = exponent(numerator), exponent(denominator)
    if _plain(top, bottom):
        return chosen, np.zeros(64, np.bool_)
    is_denominator = chosen.view(np.uint32) == denominator.view(np.uint32)
    is_numerator = chosen.view(np.uint32) == numerator.view(np.uint32)
    up = np.ldexp(chosen, 64)
    down = np.ldexp(chosen, -64)
    quotient = np.abs(numerator.astype(np.float64) / denominator.astype(np.float64))
    reciprocal = np.abs(1.0 / denominator.astype(np.float64))
    small_quotient = quotient < 2.0**-126
    small_reciprocal = reciprocal < 2.0**-126
    undefined = (numerator == 0) | (denominator == 0)
    cases = [
        (undefined, np.full(64, np.nan, np.float32), False),
        (top - bottom >= 96, np.where(is_denominator, up, chosen), True),
        ((bottom == 0), up, False),
        (small_reciprocal & small_quotient, np.where(is_denominator, up, chosen), True),
        (small_reciprocal, down, False),
        (small_quotient, np.where(is_numerator, up, chosen), True),
        (top <= 23, up, False),
    ]
    conditions = [case[0] for case in cases]
    data = np.select(conditions, [case[1] for case in cases], chosen).astype(np.float32)
    flags = np.select(conditions, [np.full(64, case[2]) for case in cases], False)
    return data, flags


def _plain(top: Any32, bottom: Any32) -> bool:
    """Whether no lane is near an extreme: both normal, far from overflow and underflow."""
    normal = (top > 23) & (top < 255) & (bottom > 0) & (bottom < 253)
    return bool((normal & (np.abs(top - bottom) < 96)).all())


@instruction("v_div_fmas_f32")
def _div_fmas(found: Instruction) -> Run:
    """Last step of a division: fused multiply-add, scaled back where VCC says so.

    The ISA document gives 2**32 as the factor; the hardware takes 2**64 or 2**-64 by the size of
    the estimate (source 2), as tinygrad's emulator, checked against hardware, records.
    """
    register = vector_destination(found)
    reads = [lanes_f32(found, position) for position in range(3)]
    shadow = lane_shadow(found.operands[1:])

    def run(wave: Wave) -> None:
        left, right, addend = (read(wave) for read in reads)
        data = fma32(left, right, addend)
        bits = wave.get64(VCC)
        if bits & wave.exec:
            power = np.where(exponent(addend) > _BIAS, 64, -64)
            data = np.where(lanes_of(bits), np.ldexp(data, power), data)
        undefined = shadow(wave) | wave.su[VCC] | wave.su[VCC + 1] << 32
        wave.put_f32(register, result_float(wave, found, data), undefined)

    return run


@instruction("v_div_fixup_f32")
def _div_fixup(found: Instruction) -> Run:
    """Put the special cases of a division right; source 0 is the quotient."""
    register = vector_destination(found)
    reads = [lanes_f32(found, position) for position in range(3)]
    shadow = lane_shadow(found.operands[1:])

    def run(wave: Wave) -> None:
        quotient, bottom, top = (every_lane(read(wave)) for read in reads)
        data = div_fixup(quotient, bottom, top)
        wave.put_f32(register, result_float(wave, found, data), shadow(wave))

    return run


def div_fixup(quotient: F32, bottom: F32, top: F32) -> F32:
    """Return the quotient with NaN, infinity, zero, overflow and sign put right."""
    sign = np.signbit(bottom) ^ np.signbit(top)
    plain = np.where(sign, -np.abs(quotient), np.abs(quotient))
    if _plain(exponent(top), exponent(bottom)) and not np.isnan(quotient).any():
        return plain
    zero = np.where(sign, np.float32(-0.0), np.float32(0.0))
    infinite = np.where(sign, np.float32(-np.inf), np.float32(np.inf))
    distance = exponent(top) - exponent(bottom)
    nan = np.float32(np.nan)
    conditions = [
        np.isnan(top) | np.isnan(bottom),
        ((top == 0) & (bottom == 0)) | (np.isinf(top) & np.isinf(bottom)),
        (bottom == 0) | np.isinf(top),
        np.isinf(bottom) | (top == 0),
        distance < -150,
        distance > 254,
        np.isnan(quotient),
    ]
    results = [np.full(64, nan), np.full(64, nan), infinite, zero, zero, infinite, infinite]
    return np.select(conditions, results, plain).astype(np.float32)
