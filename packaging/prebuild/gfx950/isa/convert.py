"""Conversions between integers, float32 and the smaller formats."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np

from prebuild.gfx950.arrays import ALL, F32, U32, WAVE, Any32, every_lane
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.floats import bf16_bits
from prebuild.gfx950.isa.registry import Run, Traits, family, instruction
from prebuild.gfx950.isa.shapes import Vector, float_put, per_lane, sources_of
from prebuild.gfx950.isa.sources import lane_shadow, lanes32, lanes_f32, vector_destination
from prebuild.gfx950.wave import Wave

FP8_LARGEST = np.float32(448)
_SELECTS = Traits(selects=True)


def _f16_bits(data: F32) -> Any32:
    """Round to f16, to nearest even."""
    return data.astype(np.float16).view(np.uint16).astype(np.uint32)


def _sixteenths(data: Any32) -> F32:
    """Read the low four bits as a signed number of sixteenths."""
    nibble = (data & np.uint32(15)).astype(np.int32)
    value: F32 = ((nibble ^ 8) - 8).astype(np.float32) / np.float32(16)
    return value


_TO_FLOAT: dict[str, Vector] = {
    "v_cvt_f32_f16": lambda a: a.astype(np.uint16).view(np.float16).astype(np.float32),
    "v_cvt_off_f32_i4": _sixteenths,
}


@instruction("v_cvt_i32_f32", traits=_SELECTS)
def _to_integer(found: Instruction) -> Run:
    """Round towards zero to a signed integer, as far as it goes; NaN is 0."""
    low, high = -(1 << 31), (1 << 31) - 1

    def convert(data: F32) -> Any32:
        wide = np.nan_to_num(np.trunc(data.astype(np.float64)), nan=0.0, posinf=high, neginf=low)
        bits: U32 = np.clip(wide, low, high).astype(np.int32).view(np.uint32)
        return bits

    return per_lane(found, convert, sources_of(found, 1), read=lanes_f32)


@family(_TO_FLOAT, traits=_SELECTS)
def _to_float(found: Instruction, function: Vector) -> Run:
    """Map 32 bits to a float."""
    return per_lane(found, function, sources_of(found, 1), read=lanes32, put=float_put(found))


@instruction("v_cvt_pk_fp8_f32", traits=Traits(modifiers="op_sel"))
def _pk_fp8(found: Instruction) -> Run:
    """Round two floats to fp8 (OCP e4m3, nearest even) into one half of the destination.

    Values beyond the format's largest, 448, are refused: what happens depends on MODE.
    """
    register = vector_destination(found)
    sources = sources_of(found, 2)
    low, high = (lanes_f32(found, operand, at) for at, operand in enumerate(sources))
    shadow = lane_shadow(sources)
    upper = found.modifiers.get("op_sel", "[0,0,0]").strip("[]").split(",")[-1] == "1"
    shift, kept = (16, 0x0000FFFF) if upper else (0, 0xFFFF0000)
    own = (1 | 1 << WAVE) << (2 * WAVE if upper else 0)

    def run(wave: Wave) -> None:
        pair = [np.broadcast_to(read(wave), (WAVE,)) for read in (low, high)]
        if any((np.abs(part[wave.active]) > FP8_LARGEST).any() for part in pair):
            raise found.unsupported("conversion to fp8 that overflows")
        codes = [part.astype(ml_dtypes.float8_e4m3fn).view(np.uint8) for part in pair]
        half = codes[0].astype(np.uint32) | codes[1].astype(np.uint32) << np.uint32(8)
        old, marks = wave.rows[register], wave.vu[register] & ~(ALL * own)
        data = (old & np.uint32(kept)) | half << np.uint32(shift)
        wave.put(register, data, 0)
        wave.mark(register, marks | shadow(wave) * own)

    return run


def _pair(low: Any32, high: Any32) -> Any32:
    return (low & np.uint32(0xFFFF)) | (high << np.uint32(16))


_PAIRS: dict[str, Callable[[F32], Any32]] = {
    "v_cvt_pk_bf16_f32": bf16_bits,
    "v_cvt_pk_f16_f32": _f16_bits,
}


@family(_PAIRS)
def _pack(found: Instruction, function: Callable[[F32], Any32]) -> Run:
    """Convert two floats to 16 bits each: source 0 low, source 1 high."""

    def packed(low: F32, high: F32) -> Any32:
        return _pair(function(every_lane(low)), function(every_lane(high)))

    return per_lane(found, packed, sources_of(found, 2), read=lanes_f32)
