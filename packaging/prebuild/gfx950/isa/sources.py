"""How operands are read and written, for each kind of use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from prebuild.gfx950.arrays import ALL, F32, I64, M32, U32, Any32, signed64
from prebuild.gfx950.disassembly import EXEC, Instruction, Operand
from prebuild.gfx950.errors import UndefinedValue
from prebuild.gfx950.floats import flush
from prebuild.gfx950.isa.lanes import selected
from prebuild.gfx950.wave import ALL_BYTES, Wave, any_byte

Lanes32 = Callable[[Wave], Any32]
LanesF32 = Callable[[Wave], F32]
Lanes64 = Callable[[Wave], I64]
Scalar = Callable[[Wave], int]
SetScalar = Callable[[Wave, int, int], None]
"""Writes a value and its undefined bits."""

_INV_2PI = 0x3E22F983


def bits32(found: Instruction, operand: Operand) -> int:
    """Return a constant operand as 32 bits: floats as their encoding, integers as they are."""
    if operand.kind == "float":
        if operand.text.startswith("0.15915"):
            return _INV_2PI
        return int(np.float32(operand.value).view(np.uint32))
    if operand.kind == "int":
        return int(operand.value) & M32
    raise found.unsupported(f"operand {operand.text} is not modelled")


def bits64(found: Instruction, operand: Operand) -> int:
    """Return a constant operand as 64 bits; an inline integer is sign-extended."""
    if operand.kind == "int" and not operand.literal:
        return int(operand.value) & ALL
    if operand.kind == "int" and 0 <= operand.value < 1 << 31:
        return int(operand.value)
    raise found.unsupported(f"64-bit constant {operand.text} is not modelled")


def scalar32(found: Instruction, operand: Operand) -> Scalar:
    """Read an SGPR or a constant as 32 bits."""
    index = operand.index
    if operand.kind == "s" and operand.count == 1:
        return lambda wave: wave.s[index]
    constant = bits32(found, operand)
    return lambda wave: constant


def scalar64(found: Instruction, operand: Operand) -> Scalar:
    """Read a pair of SGPRs or a constant as 64 bits."""
    index = operand.index
    if operand.kind == "s" and operand.count == 2:
        return lambda wave: wave.s[index] | wave.s[index + 1] << 32
    constant = bits64(found, operand)
    return lambda wave: constant


def shadow32(operand: Operand) -> Scalar:
    """Read the undefined bits of an SGPR; a constant has none."""
    index = operand.index
    if operand.kind == "s":
        return lambda wave: wave.su[index]
    return lambda wave: 0


def shadow64(operand: Operand) -> Scalar:
    """Read the undefined bits of a pair of SGPRs."""
    index = operand.index
    if operand.kind == "s":
        return lambda wave: wave.su[index] | wave.su[index + 1] << 32
    return lambda wave: 0


def set_scalar32(found: Instruction, operand: Operand) -> SetScalar:
    """Write an SGPR and its undefined bits."""
    index = operand.index
    if operand.kind != "s" or operand.count != 1:
        raise found.unsupported(f"scalar destination {operand.text}")
    if index in (EXEC, EXEC + 1):
        return _set_exec_half(index)

    def put(wave: Wave, value: int, undefined: int) -> None:
        wave.s[index] = value & M32
        wave.su[index] = undefined

    return put


def set_scalar64(found: Instruction, operand: Operand) -> SetScalar:
    """Write a pair of SGPRs and its undefined bits."""
    index = operand.index
    if operand.kind != "s" or operand.count != 2:
        raise found.unsupported(f"destination {operand.text}, expected a pair of SGPRs")
    return lambda wave, value, undefined: wave.set_pair(index, value & ALL, undefined)


def _set_exec_half(index: int) -> SetScalar:
    def put(wave: Wave, value: int, undefined: int) -> None:
        if undefined:
            raise UndefinedValue("EXEC is written with undefined bits")
        if index == EXEC:
            wave.set_exec((wave.exec & ~M32) | (value & M32))
        else:
            wave.set_exec((wave.exec & M32) | (value & M32) << 32)

    return put


def lanes32(found: Instruction, operand: Operand, position: int) -> Lanes32:
    """Read source ``position`` as 32 bits a lane."""
    if operand.negate or operand.absolute or operand.sign_extend:
        raise found.unsupported("source modifier on an integer operand")
    return _selected(found, position, plain32(found, operand))


def plain32(found: Instruction, operand: Operand) -> Lanes32:
    """Read an operand as 32 bits a lane, source modifiers and selects left aside."""
    index = operand.index
    if operand.kind in ("v", "s") and operand.count != 1:
        raise found.unsupported(f"register range {operand.text} as a 32-bit source")
    if operand.kind == "v":
        return lambda wave: wave.rows[index]
    if operand.kind == "s":
        return lambda wave: np.uint32(wave.s[index])  # type: ignore[return-value]
    constant = np.uint32(bits32(found, operand))
    return lambda wave: constant  # type: ignore[return-value]


def _selected(found: Instruction, position: int, read: Lanes32) -> Lanes32:
    """Apply the SDWA select that this source has."""
    if found.form == "sdwa":
        if found.modifiers.get("dst_sel", "DWORD") != "DWORD":
            raise found.unsupported("SDWA destination select is not modelled")
        return selected(found, found.modifiers.get(f"src{position}_sel", "DWORD"), read)
    return read


def lanes_f32(found: Instruction, operand: Operand, position: int) -> LanesF32:
    """Read a source as floats: ``abs``, then ``neg``, denormals flushed as MODE says."""
    index = operand.index
    if operand.kind == "v" and operand.count == 1 and found.form != "sdwa":

        def plain(wave: Wave) -> F32:
            data = wave.frows[index]
            return data if wave.denorm32 & 1 else flush(data)

        return _modified(operand, plain)
    raw = _selected(found, position, plain32(found, operand))

    def converted(wave: Wave) -> F32:
        data: F32 = raw(wave).view(np.float32)
        return data if wave.denorm32 & 1 else flush(data)

    return _modified(operand, converted)


def _modified(operand: Operand, read: LanesF32) -> LanesF32:
    if operand.negate and operand.absolute:
        return lambda wave: -np.abs(read(wave))
    if operand.negate:
        return lambda wave: -read(wave)
    if operand.absolute:
        return lambda wave: np.abs(read(wave))
    return read


def lanes64(found: Instruction, operand: Operand, position: int) -> Lanes64:
    """Read a pair of registers or a constant as 64-bit integers a lane (two's complement)."""
    index = operand.index
    if operand.kind == "v" and operand.count == 2:

        def pair(wave: Wave) -> I64:
            high = wave.rows[index + 1].astype(np.int64) << 32
            return high | wave.rows[index].astype(np.int64)

        return pair
    read = scalar64(found, operand)
    return lambda wave: np.int64(signed64(read(wave)))  # type: ignore[return-value]


def lane_shadow(operands: Sequence[Operand]) -> Scalar:
    """Return the mask of lanes for which any operand is undefined."""
    vectors = tuple(
        index
        for operand in operands
        if operand.kind == "v"
        for index in range(operand.index, operand.index + operand.count)
    )
    scalars = tuple(
        index
        for operand in operands
        if operand.kind == "s"
        for index in range(operand.index, operand.index + operand.count)
    )
    if not scalars and len(vectors) == 1:
        only = vectors[0]
        return lambda wave: any_byte(wave.vu[only]) if wave.vu[only] else 0

    def shadow(wave: Wave) -> int:
        mask = 0
        for index in vectors:
            mask |= wave.vu[index]
        for index in scalars:
            if wave.su[index]:
                return ALL
        return any_byte(mask) if mask else 0

    return shadow


def vector_destination(found: Instruction, count: int = 1) -> int:
    """Return the first register of a VGPR destination of ``count`` dwords."""
    operand = found.operands[0]
    if operand.kind != "v" or operand.count != count:
        raise found.unsupported(f"destination {operand.text}, expected {count} VGPRs")
    return operand.index


def vector_source(found: Instruction, operand: Operand, count: int = 1) -> Operand:
    """Return a source, which must be ``count`` VGPRs."""
    if operand.kind != "v" or operand.count != count:
        raise found.unsupported(f"source {operand.text}, expected {count} VGPRs")
    return operand


def byte_shadow(operand: Operand) -> Scalar:
    """Return the shadow of a 32-bit source byte by byte, as a VGPR has it."""
    index = operand.index
    if operand.kind == "v":
        return lambda wave: wave.vu[index]
    if operand.kind == "s":
        return lambda wave: ALL_BYTES if wave.su[index] else 0
    return lambda wave: 0


def half_of(operand: Operand, high: int) -> Operand:
    """Return the low or the high register of a pair; a constant stays what it is."""
    if operand.kind in ("v", "s"):
        return replace(operand, index=operand.index + high, count=1)
    return operand


def shadows64(operands: Sequence[Operand]) -> tuple[Scalar, Scalar]:
    """Return the shadows of the low and the high result dword of an addition or left shift.

    The low dword depends on the low dwords of the sources alone; compilers rely on it.
    """
    return lane_shadow([half_of(operand, 0) for operand in operands]), lane_shadow(operands)


def put64(wave: Wave, register: int, data: Any32, low: int, high: int) -> None:
    """Write a pair of VGPRs with 64-bit integers; ``low`` and ``high`` are their shadows."""
    wave.put(register, np.asarray(data).astype(np.uint32), low)
    upper: U32 = (np.asarray(data) >> np.asarray(data).dtype.type(32)).astype(np.uint32)
    wave.put(register + 1, upper, high)
