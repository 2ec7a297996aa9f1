"""Vector float32 arithmetic and the transcendental functions.

Arithmetic is rounded once, to nearest even, with MODE's denormal handling on sources and results.
The transcendental instructions are modelled as correctly rounded and flush denormals; the hardware
may be off by one unit in the last place, which the tolerance of a kernel allows for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import F32, F64, Any32
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.floats import flush, fma32
from prebuild.gfx950.isa.registry import Run, Traits, family, instruction
from prebuild.gfx950.isa.shapes import Vector, float_put, float_result, per_lane, sources_of
from prebuild.gfx950.isa.sources import lane_shadow, lanes32, lanes_f32, vector_destination
from prebuild.gfx950.wave import Wave

_FLOATS = Traits(modifiers="clamp", selects=True)


def _bits(data: F32) -> Any32:
    return np.asarray(data).view(np.uint32)


def _maximum(left: F32, right: F32) -> F32:
    """Return the larger one; +0 is larger than -0."""
    zeros = (left == 0) & (right == 0)
    positive = (_bits(left) & _bits(right)).view(np.float32)
    return _signalled(np.where(zeros, positive, np.fmax(left, right)), left, right)


def _minimum(left: F32, right: F32) -> F32:
    """Return the smaller one; -0 is smaller than +0."""
    zeros = (left == 0) & (right == 0)
    negative = (_bits(left) | _bits(right)).view(np.float32)
    return _signalled(np.where(zeros, negative, np.fmin(left, right)), left, right)


def _signalled(data: F32, *sources: F32) -> F32:
    """Put NaN where a source is a signalling one (MODE.IEEE); beside a quiet one a number wins."""
    for source in sources:
        signalling = np.isnan(source) & ((_bits(source) & np.uint32(0x400000)) == 0)
        data = np.where(signalling, np.float32(np.nan), data)
    return data


def _median(a: F32, b: F32, c: F32) -> F32:
    """Return the larger one beside the largest; with a NaN among them the smallest number."""
    largest = _maximum(_maximum(a, b), c)
    rest = np.where(largest == b, _maximum(a, c), _maximum(a, b))
    middle = np.where(largest == a, _maximum(b, c), rest)
    unordered = np.isnan(a) | np.isnan(b) | np.isnan(c)
    return np.where(unordered, _minimum(_minimum(a, b), c), middle)


_TWO: dict[str, Vector] = {
    "v_add_f32": lambda a, b: a + b,
    "v_sub_f32": lambda a, b: a - b,
    "v_mul_f32": lambda a, b: a * b,
    "v_max_f32": _maximum,
    "v_min_f32": _minimum,
}
_THREE: dict[str, Vector] = {
    "v_med3_f32": _median,
    "v_fma_f32": fma32,
}
_TRANSCENDENTAL: dict[str, Callable[[F64], F64]] = {
    "v_exp_f32": np.exp2,
    "v_rcp_f32": np.reciprocal,
}


@instruction("v_rndne_f32", traits=_FLOATS)
def _rndne(found: Instruction) -> Run:
    """Round to an integer, ties to even."""
    return per_lane(found, np.rint, sources_of(found, 1), read=lanes_f32, put=float_put(found))


@family(_TWO, traits=_FLOATS)
def _two(found: Instruction, function: Vector) -> Run:
    """Map two floats."""
    return per_lane(found, function, sources_of(found, 2), read=lanes_f32, put=float_put(found))


@family(_THREE, traits=Traits(modifiers="clamp"))
def _three(found: Instruction, function: Vector) -> Run:
    """Map three floats."""
    return per_lane(found, function, sources_of(found, 3), read=lanes_f32, put=float_put(found))


@family(_TRANSCENDENTAL, traits=_FLOATS)
def _transcendental(found: Instruction, function: Callable[[F64], F64]) -> Run:
    """Map one float by way of float64, denormals flushed whatever MODE says."""

    def apply(data: F32) -> F32:
        exact = function(flush(data).astype(np.float64)).astype(np.float32)
        return flush(np.asarray(exact))

    return per_lane(found, apply, sources_of(found, 1), read=lanes_f32, put=float_put(found))


@instruction("v_fmac_f32", traits=_FLOATS)
def _fmac(found: Instruction) -> Run:
    """Fused multiply-add whose addend is the destination."""
    sources = (*sources_of(found, 2), found.operands[0])
    return per_lane(found, fma32, sources, read=lanes_f32, put=float_put(found))


_LITERALS = {"v_fmamk_f32": 1, "v_fmaak_f32": 2}


@family(_LITERALS)
def _fma_literal(found: Instruction, position: int) -> Run:
    """Fused multiply-add with a literal as second (mk) or third (ak) source."""
    sources = sources_of(found, 3)
    if sources[position].kind in ("v", "s"):
        raise found.unsupported(f"source {sources[position].text}, expected a literal")
    return per_lane(found, fma32, sources, read=lanes_f32, put=float_put(found))


@instruction("v_ldexp_f32")
def _ldexp(found: Instruction) -> Run:
    """Scale source 0 by two to the power of source 1, an integer."""
    register = vector_destination(found)
    number, power = sources_of(found, 2)
    base, exponent = lanes_f32(found, number, 0), lanes32(found, power, 1)
    shadow, finish = lane_shadow((number, power)), float_result(found)

    def run(wave: Wave) -> None:
        amount = np.clip(exponent(wave).view(np.int32), -1000, 1000)
        data = np.ldexp(base(wave).astype(np.float64), amount).astype(np.float32)
        wave.put_f32(register, finish(wave, data), shadow(wave))

    return run
