"""Vector memory: buffer and global instructions, loads straight to LDS, atomics.

The value of a load is taken when it is issued and shows when vmcnt says so.  Loads and stores of
one wave return in order (LLVM's SIInsertWaitcnts relies on the same).

Buffers: raw ones only (stride 0, no swizzle).  A dword whose offset (VGPR, instruction and scalar
offset) does not end within ``num_records`` reads as zero and is not written.  The VGPR and the
instruction's offset are added in 32 bits (docs/numerics.md says why), so that a negative VGPR can
be in range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from prebuild.gfx950.arrays import I64, U32, Any32, Lanes, lanes_of
from prebuild.gfx950.disassembly import M0, Instruction, Operand
from prebuild.gfx950.errors import MemoryFault, UndefinedValue
from prebuild.gfx950.floats import bf16_bits, bf16_value
from prebuild.gfx950.isa.lds import arrival, gather_marks, spread, spread_marks
from prebuild.gfx950.isa.registry import Run, Traits, family, ids
from prebuild.gfx950.isa.shapes import sources_of
from prebuild.gfx950.isa.sources import scalar32, shadow32, vector_destination, vector_source
from prebuild.gfx950.memory import AtomicAdd
from prebuild.gfx950.wave import Flight, Wave, any_byte

T = TypeVar("T")
DWORDS = {"dword": 1, "dwordx2": 2, "dwordx3": 3, "dwordx4": 4}
_CACHE = "sc0 sc1 nt"
_STRIDE_MASK = 0x3FFF
_WORD = 0xFFFF_FFFF

Where = Callable[[Wave], tuple[I64, I64]]
"""Addresses of the active lanes, and how many bytes from there the descriptor allows."""
_FAR = np.int64(1) << 40


def offset_of(found: Instruction) -> int:
    """Return the constant offset of a memory instruction, in bytes."""
    return int(found.modifiers.get("offset", "0"), 0)


def require(wave: Wave, operand: Operand) -> None:
    """Raise where an address register is undefined in a lane that is on."""
    for index in range(operand.index, operand.index + operand.count):
        undefined = wave.vu[index] & wave.exec_bytes if operand.kind == "v" else wave.su[index]
        if undefined:
            raise UndefinedValue(f"address in {operand.text} is undefined")


def global_where(found: Instruction, address: Operand, base: Operand) -> Where:
    """Return 64-bit addresses: a VGPR pair, or an SGPR pair plus a 32-bit VGPR."""
    offset = offset_of(found)
    index = address.index
    if base.kind == "s" and base.count == 2 and address.count == 1:

        def based(wave: Wave) -> tuple[I64, I64]:
            require(wave, address)
            require(wave, base)
            start = wave.get64(base.index) + offset
            where = wave.rows[index][wave.active].astype(np.int64) + start
            return where, np.full(where.size, _FAR)

        return based
    if base.text != "off" or address.count != 2:
        raise found.unsupported("addressing of a global instruction")

    def plain(wave: Wave) -> tuple[I64, I64]:
        require(wave, address)
        low = wave.rows[index][wave.active].astype(np.int64)
        high = wave.rows[index + 1][wave.active].astype(np.int64)
        where = (high << 32 | low) + offset
        return where, np.full(where.size, _FAR)

    return plain


def buffer_where(found: Instruction, operands: Sequence[Operand]) -> Where:
    """Return addresses by a buffer descriptor: (vaddr or off, descriptor, scalar offset)."""
    address, descriptor, scalar = operands
    if "idxen" in found.modifiers or descriptor.count != 4:
        raise found.unsupported("indexed buffers")
    offen = "offen" in found.modifiers
    if offen == (address.text == "off"):
        raise found.unsupported("addressing of a buffer instruction")
    extra, extra_shadow = scalar32(found, scalar), shadow32(scalar)
    constant = offset_of(found)
    first = descriptor.index

    def where(wave: Wave) -> tuple[I64, I64]:
        require(wave, descriptor)
        low, high, records, _ = wave.s[first : first + 4]
        if high >> 16 & _STRIDE_MASK or high >> 31:
            raise found.unsupported("buffer descriptor with a stride or a swizzle")
        if extra_shadow(wave):
            raise UndefinedValue("scalar offset of a buffer is undefined")
        base = low | (high & 0xFFFF) << 32
        offset = np.full(wave.active.size, constant, np.int64)
        if offen:
            require(wave, address)
            offset += wave.rows[address.index][wave.active].astype(np.int64)
        offset = (offset & _WORD) + extra(wave)
        return base + offset, records - offset

    return where


@dataclass(frozen=True, kw_only=True)
class Space:
    """How one class of instructions writes data and address down."""

    name: str
    loads: Callable[[Instruction], tuple[Operand, Where]]
    """The destination of a load, and its addressing."""
    stores: Callable[[Instruction], tuple[Operand, Where]]
    """The data of a store, and its addressing."""


def _data_first(found: Instruction) -> tuple[Operand, Where]:
    return found.operands[0], buffer_where(found, sources_of(found, 3))


def _global_load(found: Instruction) -> tuple[Operand, Where]:
    address, base = sources_of(found, 2)
    return found.operands[0], global_where(found, address, base)


def _global_store(found: Instruction) -> tuple[Operand, Where]:
    address, data, base = sources_of(found, 3, first=0)
    return data, global_where(found, address, base)


BUFFER = Space(name="buffer", loads=_data_first, stores=_data_first)
GLOBAL = Space(name="global", loads=_global_load, stores=_global_store)


def _table(
    verb: str, entries: Mapping[str, T], *, buffer: str, glob: str
) -> dict[str, tuple[Space, T]]:
    """Return the table of ``verb``, with the kinds of each space: name -> its space and entry."""
    return {
        f"{space.name}_{verb}_{kind}": (space, entries[kind])
        for space, kinds in ((BUFFER, buffer), (GLOBAL, glob))
        for kind in kinds.split()
    }


_LOADED = "dword dwordx2 dwordx4"
_LOADS = _table("load", DWORDS, buffer=_LOADED, glob=_LOADED)
_STORES = _table("store", DWORDS, buffer="dword dwordx4", glob="dword")


def fetch(wave: Wave, where: Where, dwords: int) -> tuple[U32, Any32 | None]:
    """Read dwords for the active lanes; what a descriptor clamps is zero and defined."""
    addresses, room = where(wave)
    if (room >= 4 * dwords).all():
        return wave.memory.load(addresses, dwords)
    data = np.zeros((dwords, addresses.size), np.uint32)
    marks = np.zeros((dwords, addresses.size), np.uint32)
    for dword in range(dwords):
        inside = room >= 4 * (dword + 1)
        part, shadow = wave.memory.load(addresses[inside] + 4 * dword, 1)
        data[dword, inside] = part[0]
        if shadow is not None:
            marks[dword, inside] = shadow[0]
    return data, marks


@family(
    _LOADS,
    traits=Traits(modifiers=f"offset offen lds {_CACHE}", queue="vm"),
)
def _load(found: Instruction, entry: tuple[Space, int]) -> Run:
    """Load one to four dwords a lane; with ``lds`` straight there."""
    space, dwords = entry
    if "lds" in found.modifiers:
        return _to_lds(found, buffer_where(found, sources_of(found, 3, first=0)), dwords)
    vector_destination(found, dwords)
    target, where = space.loads(found)
    registers = tuple(ids(target))

    def run(wave: Wave) -> None:
        part, marks = fetch(wave, where, dwords)
        undefined = spread_marks(wave, marks, dwords)
        wave.issue_vm(Flight(registers, arrival(wave, target, spread(wave, part), undefined)))

    return run


def _to_lds(found: Instruction, where: Where, dwords: int) -> Run:
    """Load straight to LDS, at M0 + instruction offset + lane * size; EXEC off skips a lane."""
    constant = offset_of(found)
    steps = np.arange(dwords)[:, None]

    def run(wave: Wave) -> None:
        if wave.su[M0]:
            raise UndefinedValue("M0 of a load to LDS is undefined")
        start = wave.s[M0] + constant
        if start & 3:
            raise MemoryFault("M0 of a load to LDS is not aligned")
        part, marks = fetch(wave, where, dwords)
        index = (start >> 2) + (wave.active * dwords)[None, :] + steps
        undefined = np.zeros(part.shape, np.bool_) if marks is None else marks != 0
        wave.lds.begin(index, wave.number)

        def arrive() -> None:
            wave.lds.land(index, part, undefined, wave.number)

        wave.issue_vm(Flight((), arrive))

    return run


@family(_STORES, traits=Traits(modifiers=f"offset offen {_CACHE}"))
def _store(found: Instruction, entry: tuple[Space, int]) -> Run:
    """Store one to four dwords a lane."""
    space, dwords = entry
    data, where = space.stores(found)
    vector_source(found, data, dwords)

    def run(wave: Wave) -> None:
        addresses, room = where(wave)
        part = wave.v[data.index : data.index + dwords][:, wave.active]
        marks = gather_marks(wave, data, dwords).astype(np.uint32)
        _write(wave, addresses, room, part, marks)
        wave.issue_vm(Flight((), None))

    return run


def _write(wave: Wave, addresses: I64, room: I64, part: U32, marks: U32) -> None:
    dwords = part.shape[0]
    whole = room >= 4 * dwords
    wave.memory.store(addresses[whole], part[:, whole], marks[:, whole])
    for dword in range(dwords):
        inside: Lanes = ~whole & (room >= 4 * (dword + 1))
        if inside.any():
            wave.memory.store(
                addresses[inside] + 4 * dword,
                part[dword : dword + 1, inside],
                marks[dword : dword + 1, inside],
            )


class _PackedBf16(AtomicAdd):
    """Two bf16 additions in a dword, each rounded to nearest even."""

    def __call__(self, memory: U32, operand: U32) -> U32:
        halves = []
        for shift in (0, 16):
            left = bf16_value(memory >> np.uint32(shift) & np.uint32(0xFFFF))
            right = bf16_value(operand >> np.uint32(shift) & np.uint32(0xFFFF))
            halves.append(bf16_bits(left + right) & np.uint32(0xFFFF))
        return halves[0] | halves[1] << np.uint32(16)


class _PackedF16(AtomicAdd):
    """Two f16 additions in a dword, each rounded to nearest even."""

    def __call__(self, memory: U32, operand: U32) -> U32:
        left = np.ascontiguousarray(memory).view(np.float16)
        right = np.ascontiguousarray(operand).view(np.float16)
        return (left + right).view(np.uint32)


class _F32(AtomicAdd):
    """A float32 addition."""

    def __call__(self, memory: U32, operand: U32) -> U32:
        left = np.ascontiguousarray(memory).view(np.float32)
        right = np.ascontiguousarray(operand).view(np.float32)
        return (left + right).view(np.uint32)


_ADDITIONS: dict[str, AtomicAdd] = {
    "pk_add_bf16": _PackedBf16(),
    "pk_add_f16": _PackedF16(),
    "add_f32": _F32(),
}


_ATOMICS = _table(
    "atomic",
    _ADDITIONS,
    buffer="pk_add_f16 add_f32",
    glob="pk_add_bf16 add_f32",
)


@family(_ATOMICS, traits=Traits(modifiers="offset offen nt sc1"))
def _atomic(found: Instruction, entry: tuple[Space, AtomicAdd]) -> Run:
    """Add to memory without returning the old value."""
    space, addition = entry
    data, where = space.stores(found)
    vector_source(found, data)

    def run(wave: Wave) -> None:
        addresses, room = where(wave)
        inside = room >= 4
        part = wave.rows[data.index][wave.active][inside]
        marks = lanes_of(any_byte(wave.vu[data.index]))[wave.active][inside].astype(np.uint32)
        wave.memory.atomic(addresses[inside], part, marks, addition)
        wave.issue_vm(Flight((), None))

    return run
