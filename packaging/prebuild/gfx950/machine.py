"""Runs a launch: workgroup after workgroup, the waves of one in turn from barrier to barrier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from prebuild.gfx950.arrays import ALL, M32, WAVE
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.errors import ExecutorError, MissingWait, Runaway
from prebuild.gfx950.isa.registry import BARRIER, Operation
from prebuild.gfx950.launch import Launch
from prebuild.gfx950.lds import Lds
from prebuild.gfx950.memory import Memory
from prebuild.gfx950.program import Program
from prebuild.gfx950.wave import VGPR_ID, Wave

MAX_INSTRUCTIONS = 3_000_000
"""Of one wave: far above any of our problems, so that a broken loop ends."""
_SETUP = ((0, 4), (1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (6, 1))
"""kernel_code_properties bits and their user SGPRs: private segment buffer, dispatch pointer,
queue pointer, kernarg segment pointer, dispatch id, flat scratch, private segment size."""
_KERNARG_POINTER = 3
Group = tuple[int, int, int]
Trace = Callable[[Wave, Instruction], None]


@dataclass
class Execution:
    """What a run did."""

    instructions: int = 0
    waves: int = 0
    executed: Counter[str] = field(default_factory=Counter)
    """Mnemonic -> times it was executed."""
    unreached: list[str] = field(default_factory=list)
    """Instructions of the kernel that no wave reached."""
    writers: list[tuple[Group, int]] = field(default_factory=list)
    """Workgroup and wave of each writer id."""


class Machine:
    """One kernel in a memory, which the caller has filled."""

    def __init__(self, program: Program, memory: Memory, launch: Launch) -> None:
        self.program, self.memory, self.launch = program, memory, launch
        self.base = _place_code(program, memory)
        segment, defined = launch.segment(program.descriptor.kernarg_bytes)
        kernarg = memory.allocate("kernarg", np.frombuffer(segment, np.uint8))
        kernarg.shadow[defined:] = 0xFF
        kernarg.clean = defined >= len(segment)
        self.kernarg = kernarg.base
        self.counts = [0] * len(program.operations)
        self.execution = Execution()
        self.trace: Trace | None = None

    def run(self, groups: Iterable[Group] | None = None) -> Execution:
        """Run every workgroup (or ``groups``, in their order)."""
        try:
            with np.errstate(all="ignore"):
                for group in groups if groups is not None else self.launch.groups():
                    self._run_group(group)
        finally:
            self._count()
        return self.execution

    def _count(self) -> None:
        operations = self.program.operations
        result = self.execution
        result.instructions = sum(self.counts)
        for operation, count in zip(operations, self.counts, strict=True):
            if count:
                result.executed[operation.instruction.mnemonic] += count
        result.unreached = [
            operation.instruction.text
            for operation, count in zip(operations, self.counts, strict=True)
            if not count
        ]

    def _run_group(self, group: Group) -> None:
        descriptor = self.program.descriptor
        lds = Lds(descriptor.lds_bytes + self.launch.dynamic_lds)
        threads = self.launch.block[0] * self.launch.block[1] * self.launch.block[2]
        waves = [
            self._start(group, number, lds, min(WAVE, threads - number * WAVE))
            for number in range(-(-threads // WAVE))
        ]
        self.execution.waves += len(waves)
        while any(not wave.done for wave in waves):
            for wave in waves:
                if not wave.done:
                    self._run_wave(wave, group)
            lds.epoch += 1
            for wave in waves:
                for flight in wave.lgkm if not wave.done else ():
                    if flight.lds is not None:
                        lds.carry_over(flight.lds, wave.number, writes=flight.writes)

    def _run_wave(self, wave: Wave, group: Group) -> None:
        self.memory.writer = len(self.execution.writers)
        self.execution.writers.append((group, wave.number))
        try:
            self._steps(wave)
        except ExecutorError as error:
            found = self.program.operations[wave.at].instruction
            error.locate(f"workgroup {group} wave {wave.number}, {found.address:#x}: {found.text}")
            raise

    def _steps(self, wave: Wave) -> None:
        """Run to the next barrier or to the end."""
        operations, counts, trace = self.program.operations, self.counts, self.trace
        index, left = wave.at, MAX_INSTRUCTIONS
        while True:
            operation = operations[index]
            counts[index] += 1
            wave.at = index
            if wave.vm_pending or wave.lgkm_pending:
                _check_waits(wave, operation)
            if trace is not None:
                trace(wave, operation.instruction)
            following = operation.run(wave)
            left -= 1
            if following is None:
                index += 1
            elif following >= 0:
                index = following
            else:
                wave.done = following != BARRIER
                wave.at = index + 1
                return
            if left == 0:
                raise Runaway(f"more than {MAX_INSTRUCTIONS} instructions without a barrier")

    def _start(self, group: Group, number: int, lds: Lds, lanes: int) -> Wave:
        descriptor = self.program.descriptor
        wave = Wave(number, self.memory, lds, descriptor.scratch_bytes)
        wave.denorm32 = descriptor.denormals_f32
        wave.set_exec(ALL >> (WAVE - lanes))
        wave.code_base = self.base
        wave.index_of = dict(self.program.index_of)
        wave.at = (
            self.program.index_of[descriptor.entry]
            if not descriptor.preload_length
            else (self.program.index_of[descriptor.entry + 256])
        )
        self._set_scalars(wave, group)
        self._set_work_items(wave, number)
        return wave

    def _set_scalars(self, wave: Wave, group: Group) -> None:
        descriptor = self.program.descriptor
        index = 0
        for bit, count in _SETUP:
            if descriptor.properties >> bit & 1:
                if bit == _KERNARG_POINTER:
                    wave.set_pair(index, self.kernarg)
                index += count
        start = descriptor.preload_offset * 4
        for dword in range(descriptor.preload_length):
            at = start + 4 * dword
            wave.s[index + dword] = int.from_bytes(self.launch.kernarg[at : at + 4], "little")
            wave.su[index + dword] = 0
        index = descriptor.user_sgprs
        for enabled, value in zip(descriptor.workgroup_ids, group, strict=True):
            if enabled:
                wave.s[index], wave.su[index] = value & M32, 0
                index += 1

    def _set_work_items(self, wave: Wave, number: int) -> None:
        width, height, _ = self.launch.block
        thread = np.arange(number * WAVE, (number + 1) * WAVE)
        x, y, z = thread % width, thread // width % height, thread // (width * height)
        packed = x
        if self.program.descriptor.workitem_id_dims >= 1:
            packed = packed | y << 10
        if self.program.descriptor.workitem_id_dims >= 2:
            packed = packed | z << 20
        wave.rows[0][...] = packed
        wave.vu[0] = 0


def _check_waits(wave: Wave, operation: Operation) -> None:
    for counter, pending, touched in (
        ("vmcnt", wave.vm_pending, operation.touch_vm),
        ("lgkmcnt", wave.lgkm_pending, operation.touch_lgkm),
    ):
        if pending and not pending.keys().isdisjoint(touched):
            names = ", ".join(
                f"v{i - VGPR_ID}" if i >= VGPR_ID else f"s{i}"
                for i in sorted(touched & set(pending))
            )
            raise MissingWait(f"{names} used while a load into it is in flight ({counter})")


def _place_code(program: Program, memory: Memory) -> int:
    segments = program.code.segments
    end = max(segment.address + len(segment.data) for segment in segments)
    base = memory.reserve(end)
    for number, segment in enumerate(segments):
        if segment.data:
            data = np.frombuffer(segment.data, np.uint8)
            memory.place(f"code segment {number}", base + segment.address, data)
    return base
