"""LDS instructions; results arrive in order, when lgkmcnt says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prebuild.gfx950.arrays import I64, M32, U32, WAVE, Any32, lanes_of, mask_of
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.errors import MemoryFault, UndefinedValue
from prebuild.gfx950.isa.registry import Run, Traits, family, ids
from prebuild.gfx950.isa.shapes import sources_of
from prebuild.gfx950.isa.sources import vector_destination, vector_source
from prebuild.gfx950.wave import Flight, Wave, any_byte

_BITS = {"b32": 1, "b64": 2, "b128": 4}


def arrival(wave: Wave, target: Operand, data: U32, undefined: list[int]) -> Callable[[], None]:
    """Return the closure that writes (dwords, 64) dwords in the lanes that are on now.

    ``undefined`` holds the shadow of each dword as a VGPR has it.
    """
    first, mask, lanes, full = target.index, wave.exec_bytes, wave.lanes, wave.full

    def arrive() -> None:
        for offset, mark in enumerate(undefined):
            register = first + offset
            if full:
                wave.rows[register][...] = data[offset]
                wave.vu[register] = mark
            else:
                np.copyto(wave.rows[register], data[offset], where=lanes)
                wave.vu[register] = (wave.vu[register] & ~mask) | (mark & mask)

    return arrive


def spread(wave: Wave, part: U32) -> U32:
    """Return (dwords, active lanes) as (dwords, 64), zero in lanes that are off."""
    if wave.full:
        return part
    data = np.zeros((part.shape[0], WAVE), np.uint32)
    data[:, wave.active] = part
    return data


def spread_marks(wave: Wave, marks: Any32 | None, dwords: int) -> list[int]:
    """Return the shadow of each dword from marks of shape (dwords, active lanes).

    A mark is a byte-wise shadow (0xFF where a byte is undefined), or a boolean for the dword.
    """
    if marks is None or not marks.any():
        return [0] * dwords
    if marks.dtype == np.bool_:
        marks = np.where(marks, np.uint32(M32), np.uint32(0))
    wide = np.zeros((dwords, WAVE), np.uint32)
    wide[:, wave.active] = marks
    return [
        sum(
            mask_of((row >> np.uint32(8 * byte)) & np.uint32(0xFF) != 0) << (WAVE * byte)
            for byte in range(4)
        )
        for row in wide
    ]


def gather_marks(wave: Wave, operand: Operand, dwords: int) -> Any32:
    """Return which dwords of a data operand are undefined, (dwords, active lanes)."""
    rows = [lanes_of(any_byte(wave.vu[operand.index + offset])) for offset in range(dwords)]
    return np.stack(rows)[:, wave.active]


def _addresses(wave: Wave, operand: Operand, offset: int, width: int) -> I64:
    if wave.vu[operand.index] & wave.exec_bytes:
        raise UndefinedValue(f"LDS address in {operand.text} is undefined")
    addresses = (wave.rows[operand.index][wave.active].astype(np.int64) + offset) & M32
    if (addresses % (4 * width if width < 3 else 4)).any():
        raise MemoryFault(f"LDS address in {operand.text} is not aligned")
    return addresses >> 2


@dataclass(frozen=True, kw_only=True)
class _Access:
    """What one LDS instruction moves: elements of so many dwords."""

    dwords: int
    offsets: tuple[str, ...] = ("offset",)
    """The modifier that holds the offset of each element."""
    unit: int = 1
    """Bytes of one step of an offset."""

    def places(self, found: Instruction) -> list[int]:
        """Return the byte offset of each element."""
        return [self.unit * int(found.modifiers.get(name, "0")) for name in self.offsets]


def _accesses(verb: str, *, one: str, two: str, far: str) -> dict[str, _Access]:
    """Return the table of ``verb``: one element, two, or two with offsets in steps of 64."""
    table = {f"ds_{verb}_{kind}": _Access(dwords=_BITS[kind]) for kind in one.split()}
    for kinds, suffix, stride in ((two, "2", 1), (far, "2st64", 64)):
        for kind in kinds.split():
            table[f"ds_{verb}{suffix}_{kind}"] = _Access(
                dwords=_BITS[kind], offsets=("offset0", "offset1"), unit=4 * _BITS[kind] * stride
            )
    return table


_OFFSETS = "offset offset0 offset1"


_READS = _accesses("read", one="b32 b64 b128", two="b64", far="b64")
_WRITES = _accesses("write", one="b32 b128", two="b32", far="b32")


@family(_READS, traits=Traits(modifiers=_OFFSETS, queue="lgkm"))
def _read(found: Instruction, access: _Access) -> Run:
    """Read one or two elements a lane."""
    dwords, offsets = access.dwords, access.places(found)
    vector_destination(found, dwords * len(offsets))
    target = found.operands[0]
    (address,) = (vector_source(found, operand) for operand in sources_of(found, 1))
    registers = tuple(ids(target))
    steps = np.arange(dwords)[:, None]

    def run(wave: Wave) -> None:
        parts, marks, used = [], [], []
        for offset in offsets:
            index = _addresses(wave, address, offset, dwords)[None, :] + steps
            used.append(index)
            data, undefined = wave.lds.load(index, wave.number)
            parts.append(data)
            marks.append(undefined)
        data = spread(wave, np.concatenate(parts))
        shadows = spread_marks(wave, np.concatenate(marks), target.count)
        arrive = arrival(wave, target, data, shadows)
        wave.issue_lgkm(Flight(registers, arrive, lds=np.concatenate(used)))

    return run


@family(_WRITES, traits=Traits(modifiers=_OFFSETS))
def _write(found: Instruction, access: _Access) -> Run:
    """Write one or two elements a lane."""
    dwords, offsets = access.dwords, access.places(found)
    address, *sources = sources_of(found, 1 + len(offsets), first=0)
    vector_source(found, address)
    for source in sources:
        vector_source(found, source, dwords)
    steps = np.arange(dwords)[:, None]

    def run(wave: Wave) -> None:
        used = []
        for source, offset in zip(sources, offsets, strict=True):
            index = _addresses(wave, address, offset, dwords)[None, :] + steps
            used.append(index)
            data = wave.v[source.index : source.index + dwords][:, wave.active]
            undefined = gather_marks(wave, source, dwords)
            wave.lds.store(index, data, undefined, wave.number)
        wave.issue_lgkm(Flight((), None, lds=np.concatenate(used), writes=True))

    return run
