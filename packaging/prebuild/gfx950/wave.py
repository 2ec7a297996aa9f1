"""The state of one wave: registers with their shadows, EXEC, MODE, and loads in flight.

A register's shadow says what nobody defined: per SGPR a mask of bits, per VGPR four masks of lanes,
one for each byte of the register (byte b in bits 64*b to 64*b+63 of one integer).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prebuild.gfx950.arrays import ALL, F32, I64, M32, U32, WAVE, Lanes, lanes_of
from prebuild.gfx950.disassembly import EXEC
from prebuild.gfx950.errors import UndefinedValue
from prebuild.gfx950.lds import Lds
from prebuild.gfx950.memory import Memory

VGPRS = 512
SGPRS = 128
VGPR_ID = SGPRS
"""Register ids in the books of loads in flight: SGPRs are 0 to 127, VGPRs follow."""


BYTES = 1 | 1 << WAVE | 1 << 2 * WAVE | 1 << 3 * WAVE
"""Times a mask of lanes: that mask for every byte."""
ALL_BYTES = ALL * BYTES


def any_byte(shadow: int) -> int:
    """Return the mask of lanes of which any byte is undefined."""
    return (shadow | shadow >> WAVE | shadow >> 2 * WAVE | shadow >> 3 * WAVE) & ALL


@dataclass(slots=True)
class Flight:
    """A memory instruction that has been issued and not been waited for."""

    registers: tuple[int, ...]
    """Ids of the registers that it will write."""
    arrive: Callable[[], None] | None
    """Makes the result visible; None for a store."""
    scalar: bool = False
    lds: I64 | None = None
    """LDS dwords that an LDS instruction reads or writes."""
    writes: bool = False


class Wave:
    """One wave64 of a workgroup."""

    def __init__(self, number: int, memory: Memory, lds: Lds, scratch_bytes: int) -> None:
        self.number, self.memory, self.lds = number, memory, lds
        self.v: U32 = np.full((VGPRS, WAVE), 0xA5A5A5A5, np.uint32)
        self.rows: list[U32] = list(self.v)
        self.frows: list[F32] = list(self.v.view(np.float32))
        self.vu: list[int] = [ALL_BYTES] * VGPRS
        self.s: list[int] = [0xA5A5A5A5] * SGPRS
        self.su: list[int] = [M32] * SGPRS
        self.scc, self.scc_undefined = 0, True
        self.scratch: U32 = np.full((-(-scratch_bytes // 4), WAVE), 0xA5A5A5A5, np.uint32)
        self.scratch_undefined: list[int] = [ALL_BYTES] * len(self.scratch)
        self.denorm32 = 0
        self.vm: deque[Flight] = deque()
        self.lgkm: deque[Flight] = deque()
        self.vm_pending: dict[int, int] = {}
        self.lgkm_pending: dict[int, int] = {}
        self.at = 0
        self.done = False
        self.exec = 0
        self.exec_bytes = 0
        self.full = False
        self.lanes: Lanes = lanes_of(0)
        self.active: I64 = np.empty(0, np.int64)
        self.code_base = 0
        self.index_of: dict[int, int] = {}
        self.set_exec(ALL)

    def set_exec(self, mask: int) -> None:
        """Set EXEC and what is derived of it."""
        self.exec = mask
        self.exec_bytes = mask * BYTES
        self.full = mask == ALL
        self.lanes = lanes_of(mask)
        self.active = np.flatnonzero(self.lanes)
        self.s[EXEC], self.s[EXEC + 1] = mask & M32, mask >> 32
        self.su[EXEC] = self.su[EXEC + 1] = 0

    def put(self, register: int, data: U32 | np.uint32, undefined: int) -> None:
        """Write a VGPR in the lanes that EXEC has on; ``undefined`` is a mask of lanes."""
        if self.full:
            self.rows[register][...] = data
        else:
            np.copyto(self.rows[register], data, where=self.lanes)
        self.mark(register, undefined * BYTES if undefined else 0)

    def put_f32(self, register: int, data: F32 | np.float32, undefined: int) -> None:
        """Write a VGPR with floats in the lanes that EXEC has on."""
        if self.full:
            self.frows[register][...] = data
        else:
            np.copyto(self.frows[register], data, where=self.lanes)
        self.mark(register, undefined * BYTES if undefined else 0)

    def mark(self, register: int, shadow: int) -> None:
        """Set the shadow of a VGPR, byte by byte, in the lanes that EXEC has on."""
        if self.full:
            self.vu[register] = shadow
        else:
            kept = self.vu[register] & ~self.exec_bytes
            self.vu[register] = kept | (shadow & self.exec_bytes)

    def get64(self, register: int) -> int:
        """Return an aligned pair of SGPRs."""
        return self.s[register] | self.s[register + 1] << 32

    def set_pair(self, register: int, value: int, undefined: int = 0) -> None:
        """Write a pair of SGPRs; EXEC must not be written with undefined bits."""
        if register == EXEC:
            if undefined:
                raise UndefinedValue("EXEC is written with undefined bits")
            self.set_exec(value)
            return
        self.s[register], self.s[register + 1] = value & M32, value >> 32
        self.su[register], self.su[register + 1] = undefined & M32, undefined >> 32

    def issue_vm(self, flight: Flight) -> None:
        """Count a vector memory instruction as outstanding."""
        self.vm.append(flight)
        for register in flight.registers:
            self.vm_pending[register] = self.vm_pending.get(register, 0) + 1

    def issue_lgkm(self, flight: Flight) -> None:
        """Count an LDS or scalar memory instruction as outstanding."""
        self.lgkm.append(flight)
        for register in flight.registers:
            self.lgkm_pending[register] = self.lgkm_pending.get(register, 0) + 1

    def wait_vm(self, limit: int) -> None:
        """Let vector memory instructions arrive, oldest first, until ``limit`` are outstanding."""
        while len(self.vm) > limit:
            _land(self.vm.popleft(), self.vm_pending)

    def wait_lgkm(self, limit: int) -> None:
        """Let LDS and scalar loads arrive as ``lgkmcnt(limit)`` guarantees.

        LDS instructions return in order among themselves, scalar loads in any order: with scalar
        loads outstanding only ``lgkmcnt(0)`` says anything about them, and of the LDS ones only
        as many are sure as would be left if every scalar load had returned first.
        """
        if limit == 0:
            while self.lgkm:
                _land(self.lgkm.popleft(), self.lgkm_pending)
            return
        scalar = [flight for flight in self.lgkm if flight.scalar]
        sure = len(self.lgkm) - limit - len(scalar)
        kept: deque[Flight] = deque()
        for flight in self.lgkm:
            if sure > 0 and not flight.scalar:
                sure -= 1
                _land(flight, self.lgkm_pending)
            else:
                kept.append(flight)
        self.lgkm = kept


def _land(flight: Flight, pending: dict[int, int]) -> None:
    for register in flight.registers:
        if pending[register] == 1:
            del pending[register]
        else:
            pending[register] -= 1
    if flight.arrive is not None:
        flight.arrive()
