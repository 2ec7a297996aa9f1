"""One combinator for each shape of operands: vector instructions a lane, scalar ones a wave.

Each reads the sources, applies a function of plain values, and writes result and shadow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prebuild.gfx950.arrays import ALL, F32, M32, Any32
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.floats import flush
from prebuild.gfx950.isa.registry import Run
from prebuild.gfx950.isa.sources import (
    Scalar,
    SetScalar,
    lane_shadow,
    scalar32,
    scalar64,
    set_scalar32,
    set_scalar64,
    shadow32,
    shadow64,
    vector_destination,
)
from prebuild.gfx950.wave import Wave

Read = Callable[[Instruction, Operand, int], Callable[[Wave], Any32]]
"""Makes the reader of a source from its operand and its position (0: the first source)."""
Put = Callable[[Wave, int, Any, int], None]
"""Writes a VGPR: wave, register, data, mask of undefined lanes."""
Result = tuple[int, int | None]
"""Value and new SCC (None: SCC stays)."""
Vector = Callable[..., Any32]
"""A function of one value a source, each an array of 64 or a scalar."""


def sources_of(found: Instruction, count: int, *, first: int = 1) -> tuple[Operand, ...]:
    """Return the operands from ``first`` on, which must be ``count``."""
    if len(found.operands) != first + count:
        raise found.unsupported(f"expected {count} sources")
    return found.operands[first:]


def per_lane(
    found: Instruction,
    function: Vector,
    sources: Sequence[Operand],
    *,
    read: Read,
    put: Put = Wave.put,
) -> Run:
    """Build an instruction with one 32-bit result a lane."""
    register = vector_destination(found)
    reads = [read(found, operand, position) for position, operand in enumerate(sources)]
    shadow = lane_shadow(sources)
    if len(reads) == 1:
        (only,) = reads

        def run1(wave: Wave) -> None:
            put(wave, register, function(only(wave)), shadow(wave))

        return run1
    if len(reads) == 2:
        first, second = reads

        def run2(wave: Wave) -> None:
            put(wave, register, function(first(wave), second(wave)), shadow(wave))

        return run2
    left, middle, right = reads

    def run3(wave: Wave) -> None:
        put(wave, register, function(left(wave), middle(wave), right(wave)), shadow(wave))

    return run3


def float_put(found: Instruction) -> Put:
    """Return what writes a float result: clamped where asked for, denormals as MODE says."""
    finish = float_result(found)

    def put(wave: Wave, register: int, data: F32, undefined: int) -> None:
        wave.put_f32(register, finish(wave, data), undefined)

    return put


def float_result(found: Instruction) -> Callable[[Wave, F32], F32]:
    """Return what is done to a float result before it is written."""
    if "clamp" in found.modifiers:
        return lambda wave, data: _flushed(wave, _clamped(data))
    return _flushed


def _clamped(data: F32) -> F32:
    """Cut to 0 to 1, NaN to 0 (DX10_CLAMP, which compilers set)."""
    return np.where(np.isnan(data), np.float32(0), np.clip(data, 0, 1)).astype(np.float32)


def _flushed(wave: Wave, data: F32) -> F32:
    return data if wave.denorm32 & 2 else flush(np.asarray(data))


_READ = {32: scalar32, 64: scalar64}
_SHADOW = {32: shadow32, 64: shadow64}
_SET = {32: set_scalar32, 64: set_scalar64}
_WHOLE = {32: M32, 64: ALL}


def scalar_sources(
    found: Instruction, operands: Sequence[Operand], widths: Sequence[int]
) -> tuple[list[Scalar], list[Scalar]]:
    """Return the readers of scalar sources of so many bits, and those of their undefined bits."""
    pairs = list(zip(operands, widths, strict=True))
    reads = [_READ[width](found, operand) for operand, width in pairs]
    return reads, [_SHADOW[width](operand) for operand, width in pairs]


def scalar_target(found: Instruction, width: int) -> tuple[SetScalar, int]:
    """Return what writes the scalar destination, and the mask of all of its bits."""
    return _SET[width](found, found.operands[0]), _WHOLE[width]


def scalar(
    found: Instruction,
    function: Callable[..., Result],
    operands: Sequence[Operand],
    widths: Sequence[int],
    *,
    out: int,
) -> Run:
    """Build a scalar instruction: an undefined bit of a source makes result and SCC undefined."""
    reads, shadows = scalar_sources(found, operands, widths)
    put, whole = scalar_target(found, out)
    if len(reads) == 1:
        (only,), (mark,) = reads, shadows

        def run1(wave: Wave) -> None:
            undefined = mark(wave)
            value, flag = function(only(wave))
            put(wave, value, whole if undefined else 0)
            if flag is not None:
                wave.scc, wave.scc_undefined = flag, bool(undefined)

        return run1
    (left, right), (first, second) = reads, shadows

    def run2(wave: Wave) -> None:
        undefined = first(wave) | second(wave)
        value, flag = function(left(wave), right(wave))
        put(wave, value, whole if undefined else 0)
        if flag is not None:
            wave.scc, wave.scc_undefined = flag, bool(undefined)

    return run2


def decision(
    found: Instruction, test: Callable[[int, int], bool], operands: Sequence[Operand], width: int
) -> Run:
    """Build a scalar instruction that only sets SCC."""
    (left, right), (first, second) = scalar_sources(found, operands, (width, width))

    def run(wave: Wave) -> None:
        wave.scc = int(test(left(wave), right(wave)))
        wave.scc_undefined = bool(first(wave) | second(wave))

    return run
