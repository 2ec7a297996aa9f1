"""Vector float32 arithmetic and the transcendental functions.

Arithmetic is rounded once, to nearest even, with MODE's denormal handling on sources and results.
The transcendental instructions are modelled as correctly rounded and flush denormals; the hardware
may be off by one unit in the last place, which the tolerance of a kernel allows for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import F32, F64
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.floats import flush, fma32
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
