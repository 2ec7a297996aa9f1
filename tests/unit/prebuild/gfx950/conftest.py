"""A bench for instructions: one wave, operands set by hand, results read back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from prebuild.gfx950.arrays import ALL, WAVE
from prebuild.gfx950.codeobject import CodeObject, Descriptor, Segment
from prebuild.gfx950.disassembly import parse_line
from prebuild.gfx950.isa import build
from prebuild.gfx950.launch import Launch
from prebuild.gfx950.lds import Lds
from prebuild.gfx950.machine import Machine
from prebuild.gfx950.memory import Memory
from prebuild.gfx950.program import Program
from prebuild.gfx950.wave import Wave
from tests.unit.prebuild.gfx950.oracles.kit import Kit


class Bench:
    """One wave and what it needs."""

    def __init__(self, executed: set[str] | None = None) -> None:
        self.executed = set() if executed is None else executed
        """Mnemonics that ran here."""
        self.memory = Memory()
        self.lds = Lds(4096)
        self.wave = Wave(0, self.memory, self.lds, 64)

    def set(self, register: int, values: object) -> None:
        """Give a VGPR 64 values: integers as they are, floats as float32."""
        data = np.broadcast_to(np.asarray(values), (WAVE,))
        if data.dtype.kind == "f":
            data = data.astype(np.float32).view(np.uint32)
        self.wave.rows[register][...] = data.astype(np.int64).astype(np.uint32)
        self.wave.vu[register] = 0

    def set_scalar(self, register: int, *values: int) -> None:
        """Give SGPRs their dwords, one register a value."""
        for offset, value in enumerate(values):
            self.wave.s[register + offset] = value & 0xFFFFFFFF
            self.wave.su[register + offset] = 0

    def run(self, *lines: str) -> None:
        """Run instructions in a row; a load is not waited for."""
        with np.errstate(all="ignore"):
            for line in lines:
                found = parse_line(line)
                build(found).run(self.wave)
                self.executed.add(found.mnemonic)

    def land(self) -> None:
        """Wait for everything."""
        self.run("s_waitcnt vmcnt(0) lgkmcnt(0)")

    def ints(self, register: int) -> list[int]:
        """Return a VGPR as unsigned integers."""
        return [int(value) for value in self.wave.rows[register]]

    def floats(self, register: int) -> np.ndarray:
        """Return a VGPR as float32."""
        return self.wave.frows[register].copy()

    def undefined(self, register: int) -> int:
        """Return the mask of lanes of which any byte is undefined."""
        mask = self.wave.vu[register]
        return (mask | mask >> 64 | mask >> 128 | mask >> 192) & ALL


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def bench_type() -> type[Bench]:
    """For tests that need a bench an example."""
    return Bench


Listing = Callable[..., Machine]


@pytest.fixture
def machine() -> Listing:
    """Return a function that makes a machine of assembly lines.

    A branch names its target by the number of the line: ``s_cbranch_scc1 @3``.
    """

    def make(
        lines: list[str],
        *,
        threads: int = 64,
        lds: int = 4096,
        kernarg: bytes = b"",
        kernarg_bytes: int = 0,
    ) -> Machine:
        instructions = []
        for number, line in enumerate(lines):
            head, _, target = line.partition("@")
            text = f"{head}{(int(target) - number - 1) & 0xFFFF}" if target else line
            instructions.append(parse_line(text, 4 * number, ["0"]))
        descriptor = Descriptor(
            symbol="k", entry=0, size=4 * len(lines), lds_bytes=lds, scratch_bytes=64,
            kernarg_bytes=max(kernarg_bytes, len(kernarg)),
            vgprs=512, accum_offset=256, denormals_f32=0,
            denormals_f16_f64=3, user_sgprs=2, properties=8, workgroup_ids=(True, True, True),
            workitem_id_dims=0, preload_length=0, preload_offset=0,
        )  # fmt: skip
        code = CodeObject(sha256="", segments=(_segment(),), kernels={"k": descriptor}, data=b"")
        program = Program(
            descriptor=descriptor,
            operations=tuple(build(found) for found in instructions),
            index_of={found.address: i for i, found in enumerate(instructions)},
            code=code,
        )
        launch = Launch(symbol="k", grid=(1, 1, 1), block=(threads, 1, 1), kernarg=kernarg)
        return Machine(program, Memory(), launch)

    return make


def _segment() -> Segment:
    return Segment(address=0, data=bytes(64), writable=False)


@pytest.fixture
def kit(bench_type: type[Bench], machine: Listing) -> Kit:
    """For oracles."""
    return Kit(bench_type=bench_type, machine=machine)
