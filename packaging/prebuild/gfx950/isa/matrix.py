"""Matrix instructions (MFMA): D = A x B + C on one wave, whatever EXEC says.

Layouts (AMD CDNA4 ISA, matrix arithmetic; AMD's matrix core blog; lane is the lane's number):

- D and C, 16x16: register r of a lane is row 4*(lane//16)+r, column lane%16; 32x32: register
  4*i+r is row 8*i+4*(lane//32)+r, column lane%32.
- A: a lane holds row lane%M, B: column lane%N; group g = lane//M holds K values g*n to g*n+n-1,
  n values a lane.  For 8-bit formats of the f8f6f4 instructions the n = 32 values are two runs of
  16, the second one half of K further on.
- A scale is e8m0, byte OPSEL of a lane's scale register: it belongs to row lane%M and to the K
  values 32*(lane//M) to 32*(lane//M)+31.

Arithmetic: products and their sum with C in float64, rounded once to float32.  Products of the
small formats are exact there.  The order in which hardware adds is not documented: the tolerance
of a kernel allows any order in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prebuild.gfx950 import formats
from prebuild.gfx950.arrays import ALL, F64, WAVE, Any32, every_lane
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.floats import bf16_value
from prebuild.gfx950.isa.registry import Run, Traits, family
from prebuild.gfx950.isa.shapes import sources_of
from prebuild.gfx950.isa.sources import bits32, plain32, vector_destination, vector_source
from prebuild.gfx950.wave import BYTES, Wave, any_byte

Decode = Callable[[Any32], F64]
_SCALE_BLOCK = 32


@dataclass(frozen=True, kw_only=True)
class Format:
    """How the registers of one operand hold values."""

    registers: int
    decode: Decode
    """(64, 4 * registers) bytes -> (64, n) values."""
    halves: bool = False
    """The n values of a lane are two runs, the second one half of K further on."""


_F8F6F4 = {
    "0": Format(registers=8, decode=lambda raw: formats.E4M3[raw], halves=True),
    "1": Format(registers=8, decode=lambda raw: formats.E5M2[raw], halves=True),
    "2": Format(registers=6, decode=lambda raw: formats.unpack_six(raw, formats.E2M3)),
    "3": Format(registers=6, decode=lambda raw: formats.unpack_six(raw, formats.E3M2)),
    "4": Format(registers=4, decode=formats.unpack_fp4),
}


def _bf16(raw: Any32) -> F64:
    return bf16_value(raw.view(np.uint16)).astype(np.float64)


def _f16(raw: Any32) -> F64:
    values: F64 = raw.view(np.float16).astype(np.float64)
    return values


_DENSE: dict[str, Decode] = {
    "bf16": _bf16,
    "f16": _f16,
}


@dataclass(frozen=True, kw_only=True)
class Side:
    """A or B of one instruction."""

    operand: Operand
    read: Callable[[Wave], F64]
    """The matrix (side, depth), scales applied."""
    scale: Operand | None = None
    select: int = 0
    """Byte of the scale register."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """M = N and K of an instruction."""

    side: int
    depth: int

    @property
    def registers(self) -> int:
        """Return the registers of C and D."""
        return self.side * self.side // WAVE


def operand_matrix(raw: Any32, form: Format, shape: Shape) -> F64:
    """Arrange registers, (registers, 64) dwords, as the matrix (side, depth)."""
    lanes = np.ascontiguousarray(raw.T).view(np.uint8)
    values = form.decode(lanes)
    groups, count = WAVE // shape.side, values.shape[1]
    if form.halves:
        runs = values.reshape(groups, shape.side, 2, count // 2).transpose(1, 2, 0, 3)
        return runs.reshape(shape.side, shape.depth)
    parts = values.reshape(groups, shape.side, count).transpose(1, 0, 2)
    return parts.reshape(shape.side, shape.depth)


def scale_matrix(raw: Any32, select: int, shape: Shape) -> F64:
    """Return the factor of each element of an operand, (side, depth)."""
    codes = (raw >> np.uint32(8 * select)) & np.uint32(0xFF)
    factors = formats.E8M0[every_lane(codes)]
    per_block = factors.reshape(WAVE // shape.side, shape.side).T
    return np.repeat(per_block, _SCALE_BLOCK, axis=1)


def result_matrix(raw: Any32, shape: Shape) -> Any32:
    """Arrange registers of C or D as the matrix (side, side)."""
    groups = WAVE // shape.side
    parts = raw.reshape(shape.registers // 4, 4, groups, shape.side)
    return parts.transpose(0, 2, 1, 3).reshape(shape.side, shape.side)


def result_registers(data: Any32, shape: Shape) -> Any32:
    """Undo :func:`result_matrix`."""
    groups = WAVE // shape.side
    parts = data.reshape(shape.registers // 4, groups, 4, shape.side)
    return parts.transpose(0, 2, 1, 3).reshape(shape.registers, WAVE)


def _fold(mask: int, side: int) -> int:
    folded = 0
    for shift in range(0, WAVE, side):
        folded |= mask >> shift
    return folded & ((1 << side) - 1)


def _shadow(wave: Wave, side: Side, shape: Shape) -> int:
    mask = 0
    for index in range(side.operand.index, side.operand.index + side.operand.count):
        mask |= wave.vu[index]
    if side.scale is not None and side.scale.kind == "v":
        mask |= wave.vu[side.scale.index] >> (WAVE * side.select) & ALL
    elif side.scale is not None and side.scale.kind == "s" and wave.su[side.scale.index]:
        mask = ALL
    return _fold(any_byte(mask), shape.side) if mask else 0


def _result_shadow(rows: int, columns: int, shape: Shape) -> list[int]:
    """Return per register the lanes whose element has an undefined row of A or column of B."""
    if not rows and not columns:
        return [0] * shape.registers
    matrix = np.zeros((shape.side, shape.side), np.bool_)
    for index in range(shape.side):
        matrix[index, :] |= bool(rows >> index & 1)
        matrix[:, index] |= bool(columns >> index & 1)
    packed = np.packbits(result_registers(matrix, shape), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") * BYTES for row in packed]


def _read_c(found: Instruction, operand: Operand, shape: Shape) -> Callable[[Wave], F64]:
    if operand.kind == "v":
        if operand.count != shape.registers:
            raise found.unsupported(f"accumulator {operand.text}")
        low, high = operand.index, operand.index + shape.registers

        def read(wave: Wave) -> F64:
            raw = wave.v[low:high].view(np.float32)
            return result_matrix(raw, shape).astype(np.float64)

        return read
    constant = np.uint32(bits32(found, operand)).view(np.float32)
    full = np.full((shape.side, shape.side), constant, np.float64)
    return lambda wave: full


def _multiply(found: Instruction, shape: Shape, left: Side, right: Side) -> Run:
    low, addend = vector_destination(found, shape.registers), found.operands[3]
    read_c = _read_c(found, addend, shape)
    high = low + shape.registers
    from_c = addend.index if addend.kind == "v" else -1

    def run(wave: Wave) -> None:
        total = left.read(wave) @ right.read(wave).T + read_c(wave)
        rows, columns = _shadow(wave, left, shape), _shadow(wave, right, shape)
        shadow = _result_shadow(rows, columns, shape)
        if from_c >= 0:
            old = wave.vu[from_c : from_c + shape.registers]
            shadow = [new | before for new, before in zip(shadow, old, strict=True)]
        data = result_registers(total.astype(np.float32), shape)
        wave.v[low:high] = data.view(np.uint32)
        wave.vu[low:high] = shadow

    return run


def _side(found: Instruction, operand: Operand, form: Format, shape: Shape) -> Side:
    vector_source(found, operand, form.registers)
    low, high = operand.index, operand.index + form.registers
    return Side(operand=operand, read=lambda wave: operand_matrix(wave.v[low:high], form, shape))


def _scaled(found: Instruction, which: int, plain: Side, shape: Shape) -> Side:
    operand = found.operands[4 + which]
    select = _opsel(found, "op_sel", which) + 2 * _opsel(found, "op_sel_hi", which)
    codes = plain32(found, operand)
    read = plain.read
    return Side(
        operand=plain.operand,
        read=lambda wave: read(wave) * scale_matrix(codes(wave), select, shape),
        scale=operand,
        select=select,
    )


def _opsel(found: Instruction, name: str, which: int) -> int:
    text = found.modifiers.get(name, "[0,0,0]")
    return int(text.strip("[]").split(",")[which])


_MFMA = {
    "v_mfma_f32_16x16x128_f8f6f4": Shape(side=16, depth=128),
}
_MFMA_SCALED = {
    "v_mfma_scale_f32_16x16x128_f8f6f4": Shape(side=16, depth=128),
}


def _f8f6f4_sides(found: Instruction, shape: Shape) -> list[Side]:
    """Return A and B in any mix of the small formats: cbsz names A's, blgp B's."""
    sides = []
    for which, name in enumerate(("cbsz", "blgp")):
        form = _F8F6F4.get(found.modifiers.get(name, "0"))
        if form is None:
            raise found.unsupported("format of a matrix operand")
        sides.append(_side(found, found.operands[1 + which], form, shape))
    return sides


@family(_MFMA, traits=Traits(modifiers="cbsz blgp"))
def _f8f6f4(found: Instruction, shape: Shape) -> Run:
    """Multiply small formats without scales."""
    sources_of(found, 3)
    return _multiply(found, shape, *_f8f6f4_sides(found, shape))


@family(_MFMA_SCALED, traits=Traits(modifiers="cbsz blgp op_sel op_sel_hi"))
def _f8f6f4_scaled(found: Instruction, shape: Shape) -> Run:
    """Multiply small formats with scales."""
    sources_of(found, 5)
    sides = [
        _scaled(found, which, side, shape) for which, side in enumerate(_f8f6f4_sides(found, shape))
    ]
    return _multiply(found, shape, *sides)


_DENSE_MFMA = {
    f"v_mfma_f32_16x16x32_{kind}": Format(registers=4, decode=decode)
    for kind, decode in _DENSE.items()
}
_DENSE_SHAPE = Shape(side=16, depth=32)


@family(_DENSE_MFMA)
def _dense(found: Instruction, form: Format) -> Run:
    """Multiply bf16 or f16."""
    a, b, _ = sources_of(found, 3)
    sides = [_side(found, operand, form, _DENSE_SHAPE) for operand in (a, b)]
    return _multiply(found, _DENSE_SHAPE, *sides)
