"""What every oracle needs: benches that note what they run, and values worth trying."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

M32 = 2**32
M64 = 2**64
WAVE = 64

EDGES32 = (0, 1, 2, 3, 31, 32, 33, 63, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0xFFFFFF, 0x1000000,
           0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
EDGES64 = (0, 1, 0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, M64 - 1)
FLOATS32 = (
    0x00000000, 0x80000000,  # zeros
    0x00000001, 0x807FFFFF, 0x00400000,  # denormals
    0x00800000, 0x80800001,  # the smallest normal ones
    0x3F800000, 0xBF800000, 0x3F800001, 0x3F7FFFFF, 0x40490FDB, 0xC2B00000, 0x42B00000,
    0x3F000000, 0x3FC00000, 0x40200000, 0xBF000000,  # halves, which round to even
    0x4B800001, 0x4F000000, 0x4F800000, 0xCF000001,  # around 2**24, 2**31 and 2**32
    0x0C800000, 0x73000000, 0x7E800000, 0xFF000000,
    0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,  # the largest ones, infinities
    0x7FC00000, 0xFFC12345, 0x7F800001,  # NaN, the last one signalling
)  # fmt: skip


@dataclass
class Kit:
    """Makes benches and machines, and notes the mnemonics that ran on them."""

    bench_type: Any
    machine: Any
    executed: set[str] = field(default_factory=set)

    def bench(self) -> Any:
        """Return a fresh bench."""
        return self.bench_type(self.executed)

    def run_machine(self, lines: list[str], **options: Any) -> Any:
        """Run a program to its end and return the machine; its waves end in ``machine.ended``."""
        made = self.machine(lines, **options)
        made.ended = {}
        made.trace = lambda wave, _: made.ended.setdefault(wave.number, wave)
        made.run()
        self.executed.update(made.execution.executed)
        return made


Check = Callable[[Kit, str], None]
"""Runs a mnemonic and asserts what it did."""


def form_of(mnemonic: str) -> str:
    """Return the encoding suffix."""
    last = mnemonic.rsplit("_", 1)[1]
    return last if last in ("e32", "e64", "sdwa") else ""


def batches(edges: Sequence[int], sources: int, bits: int, seed: int) -> Iterator[list[list[int]]]:
    """Yield 64 values a source: every tuple of edges up to two sources, then random ones."""
    random = np.random.default_rng(seed)
    rows = list(product(edges, repeat=min(sources, 2)))
    rest = random.integers(0, len(edges), (len(rows), max(sources - 2, 0))).tolist()
    full = [[*row, *(edges[at] for at in more)] for row, more in zip(rows, rest, strict=True)]
    full += random.integers(0, 1 << bits, (128, sources), dtype=np.uint64).tolist()
    full += [full[0]] * (-len(full) % WAVE)
    for start in range(0, len(full), WAVE):
        yield [list(column) for column in zip(*full[start : start + WAVE], strict=True)]


def signed(value: int, bits: int = 32) -> int:
    """Read the low bits as two's complement."""
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value


def set_wide(bench: Any, register: int, values: Sequence[int]) -> None:
    """Give a pair of VGPRs 64-bit values."""
    bench.set(register, [value % M32 for value in values])
    bench.set(register + 1, [value >> 32 for value in values])


def wide(bench: Any, register: int) -> list[int]:
    """Return a pair of VGPRs as 64-bit values."""
    low, high = bench.ints(register), bench.ints(register + 1)
    return [a | b << 32 for a, b in zip(low, high, strict=True)]


def sdwa(sources: list[list[int]]) -> tuple[str, list[list[int]]]:
    """Return the modifiers of an SDWA form, and the sources as they select them."""
    selects = ("WORD_1", "BYTE_2", "DWORD")
    cuts: tuple[Callable[[int], int], ...] = (
        lambda value: value >> 16, lambda value: value >> 16 & 0xFF, lambda value: value,
    )  # fmt: skip
    named = "".join(f" src{at}_sel:{selects[at]}" for at in range(min(len(sources), 2)))
    cut = [[cuts[at](value) for value in source] for at, source in enumerate(sources)]
    return f" dst_sel:DWORD dst_unused:UNUSED_PAD{named}", cut


def formed(mnemonic: str, sources: list[list[int]]) -> tuple[str, list[list[int]]]:
    """Return what the form of ``mnemonic`` adds to the line, and the sources that it sees."""
    form = form_of(mnemonic)
    return sdwa(sources) if form == "sdwa" else ("", sources)
