"""Conversions between integers, float32 and the smaller formats."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np

from prebuild.gfx950.arrays import ALL, F32, U32, WAVE, Any32, every_lane
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.floats import bf16_bits
from prebuild.gfx950.isa.registry import Run, instruction
from prebuild.gfx950.isa.single import result_float
from prebuild.gfx950.isa.sources import lane_shadow, lanes32, lanes_f32, vector_destination
from prebuild.gfx950.wave import Wave

FP8_LARGEST = np.float32(448)


def _to_integer(low: int, high: int, dtype: type) -> Callable[[F32], Any32]:
    def convert(data: F32) -> Any32:
        wide = np.nan_to_num(np.trunc(data.astype(np.float64)), nan=0.0, posinf=high, neginf=low)
        bits: U32 = np.clip(wide, low, high).astype(dtype).view(np.uint32)
        return bits

    return convert


_FROM_FLOAT: dict[str, Callable[[F32], Any32]] = {
    "v_cvt_i32_f32": _to_integer(-(1 << 31), (1 << 31) - 1, np.int32),
    "v_cvt_u32_f32": _to_integer(0, (1 << 32) - 1, np.uint32),
}
_TO_FLOAT: dict[str, Callable[[Any32], F32]] = {
    "v_cvt_f32_i32": lambda a: a.view(np.int32).astype(np.float32),
    "v_cvt_f32_u32": lambda a: a.astype(np.float32),
    "v_cvt_f32_ubyte0": lambda a: (a & np.uint32(0xFF)).astype(np.float32),
    "v_cvt_f32_ubyte1": lambda a: ((a >> np.uint32(8)) & np.uint32(0xFF)).astype(np.float32),
    "v_cvt_f32_ubyte2": lambda a: ((a >> np.uint32(16)) & np.uint32(0xFF)).astype(np.float32),
    "v_cvt_f32_ubyte3": lambda a: (a >> np.uint32(24)).astype(np.float32),
    "v_cvt_f32_f16": lambda a: a.astype(np.uint16).view(np.float16).astype(np.float32),
    "v_cvt_f32_bf16": lambda a: (a << np.uint32(16)).view(np.float32),
}


def _from_float(found: Instruction, function: Callable[[F32], Any32]) -> Run:
    register = vector_destination(found)
    read, shadow = lanes_f32(found, 0), lane_shadow(found.operands[1:])

    def run(wave: Wave) -> None:
        wave.put(register, function(read(wave)), shadow(wave))

    return run


def _to_float(found: Instruction, function: Callable[[Any32], F32]) -> Run:
    register = vector_destination(found)
    read, shadow = lanes32(found, 0), lane_shadow(found.operands[1:])

    def run(wave: Wave) -> None:
        wave.put_f32(register, result_float(wave, found, function(read(wave))), shadow(wave))

    return run


def _enter_from(name: str, function: Callable[[F32], Any32]) -> None:
    instruction(name)(lambda found: _from_float(found, function))


def _enter_to(name: str, function: Callable[[Any32], F32]) -> None:
    instruction(name)(lambda found: _to_float(found, function))


for _name, _function in _FROM_FLOAT.items():
    _enter_from(_name, _function)
for _name, _other in _TO_FLOAT.items():
    _enter_to(_name, _other)


@instruction("v_cvt_off_f32_i4")
def _off_i4(found: Instruction) -> Run:
    """Read the low four bits as a signed number of sixteenths."""

    def convert(data: Any32) -> F32:
        nibble = (data & np.uint32(15)).astype(np.int32)
        sixteenths: F32 = ((nibble ^ 8) - 8).astype(np.float32) / np.float32(16)
        return sixteenths

    return _to_float(found, convert)


@instruction("v_cvt_pk_fp8_f32", modifiers="op_sel")
def _pk_fp8(found: Instruction) -> Run:
    """Round two floats to fp8 (OCP e4m3, nearest even) into one half of the destination.

    Values beyond the format's largest, 448, are refused: what happens depends on MODE.
    """
    register = vector_destination(found)
    low, high = lanes_f32(found, 0), lanes_f32(found, 1)
    shadow = lane_shadow(found.operands[1:])
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


@instruction("v_cvt_f16_f32")
def _f16(found: Instruction) -> Run:
    """Round to f16 (nearest even); the upper half of the result is zero."""
    return _from_float(found, lambda a: a.astype(np.float16).view(np.uint16).astype(np.uint32))


@instruction("v_cvt_pk_bf16_f32")
def _pk_bf16(found: Instruction) -> Run:
    """Round two floats to bf16 (nearest even): source 0 low, source 1 high."""
    return _pair(found, bf16_bits)


@instruction("v_cvt_pk_f16_f32", "v_cvt_pkrtz_f16_f32")
def _pk_f16(found: Instruction) -> Run:
    """Round two floats to f16: nearest even (pk), or towards zero (pkrtz)."""

    def near(data: F32) -> Any32:
        return data.astype(np.float16).view(np.uint16).astype(np.uint32)

    def toward_zero(data: F32) -> Any32:
        half = data.astype(np.float16)
        over = np.abs(half.astype(np.float32)) > np.abs(data)
        less = np.where(over, half.view(np.uint16) - np.uint16(1), half.view(np.uint16))
        return less.astype(np.uint32)

    return _pair(found, toward_zero if "rtz" in found.mnemonic else near)


def _pair(found: Instruction, function: Callable[[F32], Any32]) -> Run:
    register = vector_destination(found)
    low, high = lanes_f32(found, 0), lanes_f32(found, 1)
    shadow = lane_shadow(found.operands[1:])

    def run(wave: Wave) -> None:
        upper = function(every_lane(high(wave))) << np.uint32(16)
        lower = function(every_lane(low(wave))) & np.uint32(0xFFFF)
        wave.put(register, lower | upper, shadow(wave))

    return run
