"""Scalar loads: dwords of memory into SGPRs, outstanding until lgkmcnt(0)."""

from __future__ import annotations

import numpy as np

from prebuild.gfx950.arrays import M32
from prebuild.gfx950.disassembly import EXEC, Instruction
from prebuild.gfx950.errors import UndefinedValue
from prebuild.gfx950.isa.registry import Run, Traits, family, ids
from prebuild.gfx950.isa.sources import scalar32, shadow32, shadow64
from prebuild.gfx950.wave import Flight, Wave

_LOADS = {
    "s_load_dword": 1,
    "s_load_dwordx2": 2,
    "s_load_dwordx4": 4,
    "s_load_dwordx8": 8,
}


@family(_LOADS, traits=Traits(queue="lgkm", modifiers="offset"))
def _load(found: Instruction, dwords: int) -> Run:
    """Load from base (a pair) plus offset, both cut to a multiple of four."""
    target, base = found.operands[0], found.operands[1]
    if target.count != dwords or base.kind != "s" or base.count != 2 or target.index >= EXEC:
        raise found.unsupported("scalar load")
    plain, plain_shadow = scalar32(found, found.operands[2]), shadow32(found.operands[2])
    extra = int(found.modifiers.get("offset", "0"), 0)
    shadow = shadow64(base)
    registers = tuple(ids(target))

    def run(wave: Wave) -> None:
        if shadow(wave) or plain_shadow(wave):
            raise UndefinedValue("address of a scalar load is undefined")
        address = (wave.get64(base.index) + plain(wave) + extra) & ~3
        data, undefined = wave.memory.load(np.array([address], np.int64), dwords)
        values = data[:, 0].tolist()
        marks = (
            [0] * dwords
            if undefined is None
            else [M32 if mark else 0 for mark in undefined[:, 0].tolist()]
        )

        def arrive() -> None:
            wave.s[target.index : target.index + dwords] = values
            wave.su[target.index : target.index + dwords] = marks

        wave.issue_lgkm(Flight(registers, arrive, scalar=True))

    return run
