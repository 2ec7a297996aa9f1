"""Scratch: the private memory of each work-item, dword by dword."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import I64, M32, WAVE
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.errors import MemoryFault
from prebuild.gfx950.isa.lds import arrival
from prebuild.gfx950.isa.registry import Run, Traits, family, ids
from prebuild.gfx950.isa.shapes import sources_of
from prebuild.gfx950.isa.sources import scalar32, vector_destination, vector_source
from prebuild.gfx950.isa.vmem import DWORDS, offset_of, require
from prebuild.gfx950.wave import Flight, Wave


def _scratch_where(
    found: Instruction, address: Operand, base: Operand
) -> Callable[[Wave], I64 | int]:
    """Return the dword index in scratch: one for all lanes, or one a lane where a VGPR says."""
    offset = offset_of(found)
    scalar = scalar32(found, base) if base.text != "off" else (lambda wave: 0)

    def where(wave: Wave) -> I64 | int:
        if base.text != "off":
            require(wave, base)
        start = scalar(wave) + offset
        if address.kind == "v":
            require(wave, address)
            lanes = wave.rows[address.index].astype(np.int64) + start
            return (lanes & M32) >> 2
        return start >> 2

    return where


def _inside(wave: Wave, index: I64 | int, dwords: int) -> None:
    lanes = np.asarray(index).reshape(-1)
    if lanes.size == WAVE:
        lanes = lanes[wave.active]
    if lanes.size and (int(lanes.min()) < 0 or int(lanes.max()) + dwords > len(wave.scratch)):
        raise MemoryFault(
            f"scratch dword {int(lanes.max())} outside the {len(wave.scratch)} of a work-item"
        )


@family(
    {f"scratch_load_{width}": dwords for width, dwords in DWORDS.items()},
    traits=Traits(modifiers="offset", queue="vm"),
)
def _scratch_load(found: Instruction, dwords: int) -> Run:
    """Load dwords of the lane's own scratch."""
    vector_destination(found, dwords)
    target = found.operands[0]
    where = _scratch_where(found, *sources_of(found, 2))
    registers = tuple(ids(target))

    def run(wave: Wave) -> None:
        index = where(wave)
        _inside(wave, index, dwords)
        if not isinstance(index, int):
            raise found.unsupported("scratch load with an address of its own in each lane")
        data = wave.scratch[index : index + dwords].copy()
        undefined = wave.scratch_undefined[index : index + dwords]
        wave.issue_vm(Flight(registers, arrival(wave, target, data, undefined)))

    return run


@family(
    {f"scratch_store_{width}": dwords for width, dwords in DWORDS.items()},
    traits=Traits(modifiers="offset"),
)
def _scratch_store(found: Instruction, dwords: int) -> Run:
    """Store dwords to the lane's own scratch."""
    address, data, base = sources_of(found, 3, first=0)
    vector_source(found, data, dwords)
    where = _scratch_where(found, address, base)

    def run(wave: Wave) -> None:
        index = where(wave)
        _inside(wave, index, dwords)
        if not isinstance(index, int):
            raise found.unsupported("scratch store with an address of its own in each lane")
        for offset in range(dwords):
            row, source = index + offset, data.index + offset
            np.copyto(wave.scratch[row], wave.rows[source], where=wave.lanes)
            kept = wave.scratch_undefined[row] & ~wave.exec_bytes
            wave.scratch_undefined[row] = kept | (wave.vu[source] & wave.exec_bytes)
        wave.issue_vm(Flight((), None))

    return run
