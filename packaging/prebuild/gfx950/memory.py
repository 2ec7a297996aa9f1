"""Global memory: named allocations with gaps between them, each byte with a shadow.

Every access is checked against an allocation; a byte that nobody wrote counts as undefined.
Atomic additions are logged operand by operand, so that a sum can be judged whatever its order.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from prebuild.gfx950.arrays import I64, U8, U32
from prebuild.gfx950.errors import MemoryFault

GUARD = 1 << 21
"""Bytes between two allocations: a wrong index lands in a gap, not in a neighbour."""
_FILL = 0xA5
_PAGE = 4096


@dataclass
class AtomicLog:
    """Operands of atomic additions, in the order in which the executor met them."""

    addresses: list[I64] = field(default_factory=list)
    values: list[U32] = field(default_factory=list)


class Allocation:
    """A named run of bytes; ``shadow`` is 0 where a byte is defined, 0xFF where it is not."""

    def __init__(self, name: str, base: int, data: U8, *, writable: bool, defined: bool) -> None:
        self.name, self.base, self.size, self.writable = name, base, data.size, writable
        padded = -(-data.size // 8) * 8
        self.data = np.full(padded, _FILL, np.uint8)
        self.data[: data.size] = data
        self.shadow = np.full(padded, 0 if defined else 0xFF, np.uint8)
        self.clean = defined
        self.writer = np.full(padded // 4, -1, np.int32) if writable else np.empty(0, np.int32)
        self.atomics = AtomicLog()
        self.words = self.data.view(np.uint32)
        self.shadow_words = self.shadow.view(np.uint32)

    @property
    def end(self) -> int:
        """Return the first address after the allocation."""
        return self.base + self.size


class Memory:
    """The address space of one dispatch."""

    def __init__(self) -> None:
        self._next = 0x10_0000_0000
        self._bases: list[int] = []
        self._allocations: list[Allocation] = []
        self.writer = -1
        """Who writes now: an id that the caller chooses, kept per dword of what is written."""

    def allocate(
        self, name: str, data: U8, *, writable: bool = False, defined: bool = True
    ) -> Allocation:
        """Place ``data`` and return its allocation; undefined memory keeps the given bytes."""
        found = Allocation(name, self._next, data, writable=writable, defined=defined)
        self._insert(found)
        self._next += (data.size + GUARD + _PAGE) // _PAGE * _PAGE
        return found

    def place(self, name: str, base: int, data: U8) -> Allocation:
        """Place read-only ``data`` at ``base`` (a segment of a code object)."""
        found = Allocation(name, base, data, writable=False, defined=True)
        self._insert(found)
        return found

    def reserve(self, size: int) -> int:
        """Return an address below which ``size`` bytes stay free for :meth:`place`."""
        base = self._next
        self._next += (size + GUARD + _PAGE) // _PAGE * _PAGE
        return base

    def _insert(self, found: Allocation) -> None:
        at = bisect.bisect(self._bases, found.base)
        self._bases.insert(at, found.base)
        self._allocations.insert(at, found)

    def find(self, low: int, high: int, what: str) -> Allocation:
        """Return the allocation that holds ``[low, high)``."""
        at = bisect.bisect(self._bases, low) - 1
        near = self._allocations[at] if at >= 0 else None
        if near is not None and high <= near.end:
            return near
        hint = (
            "no allocation is near"
            if near is None
            else (
                f"nearest is {near.name} of {near.size} bytes, this is byte {low - near.base}"
                f" to {high - near.base} of it"
            )
        )
        raise MemoryFault(f"{what} of {high - low} bytes at {low:#x} outside memory; {hint}")

    def load(self, addresses: I64, dwords: int) -> tuple[U32, U32 | None]:
        """Read ``dwords`` dwords at each address.

        Returns data of shape (dwords, lanes) and the shadow of the same shape, or None where
        every byte is defined.
        """
        if addresses.size == 0:
            return np.zeros((dwords, 0), np.uint32), None
        low, high = int(addresses.min()), int(addresses.max()) + 4 * dwords
        try:
            found = self.find(low, high, "load")
        except MemoryFault:
            return self._load_each(addresses, dwords)
        offsets = addresses - found.base
        if (offsets & 3).any():
            return _unaligned(found, offsets, dwords)
        index = (offsets >> 2)[None, :] + np.arange(dwords)[:, None]
        shadow = None if found.clean else found.shadow_words[index]
        return found.words[index], shadow

    def _load_each(self, addresses: I64, dwords: int) -> tuple[U32, U32 | None]:
        data = np.zeros((dwords, addresses.size), np.uint32)
        shadow = np.zeros((dwords, addresses.size), np.uint32)
        for lane, address in enumerate(addresses.tolist()):
            found = self.find(address, address + 4 * dwords, "load")
            offset = address - found.base
            data[:, lane] = found.data[offset : offset + 4 * dwords].copy().view(np.uint32)
            shadow[:, lane] = found.shadow[offset : offset + 4 * dwords].copy().view(np.uint32)
        return data, shadow

    def store(self, addresses: I64, data: U32, undefined: U32) -> None:
        """Write (dwords, lanes) dwords; ``undefined`` is their shadow, not 0 where undefined."""
        if addresses.size == 0:
            return
        dwords = data.shape[0]
        found, offsets = self._writable(addresses, 4 * dwords)
        if (offsets & 3).any():
            raise MemoryFault(f"store of dwords to {found.name} that is not dword-aligned")
        index = (offsets >> 2)[None, :] + np.arange(dwords)[:, None]
        found.words[index] = data
        found.shadow_words[index] = np.where(undefined != 0, np.uint32(0xFFFFFFFF), np.uint32(0))
        found.writer[index] = self.writer

    def atomic(self, addresses: I64, values: U32, undefined: U32, add: AtomicAdd) -> None:
        """Add each lane's dword to memory, lane by lane, and log the operand."""
        if addresses.size == 0:
            return
        found, offsets = self._writable(addresses, 4)
        if (offsets & 3).any():
            raise MemoryFault(f"atomic on {found.name} that is not dword-aligned")
        index = offsets >> 2
        if np.unique(index).size == index.size:
            found.words[index] = add(found.words[index], values)
        else:
            for lane in range(index.size):
                one = index[lane : lane + 1]
                found.words[one] = add(found.words[one], values[lane : lane + 1])
        found.shadow_words[index[undefined != 0]] = 0xFFFFFFFF
        found.writer[index] = self.writer
        found.atomics.addresses.append(offsets)
        found.atomics.values.append(values)

    def _writable(self, addresses: I64, width: int) -> tuple[Allocation, I64]:
        low, high = int(addresses.min()), int(addresses.max()) + width
        found = self.find(low, high, "store")
        if not found.writable:
            raise MemoryFault(
                f"store to {found.name}, byte {low - found.base}: it is read-only for the kernel"
            )
        return found, addresses - found.base


class AtomicAdd(Protocol):
    """An addition on dwords: ``(memory, operand) -> memory``."""

    def __call__(self, memory: U32, operand: U32) -> U32:
        """Return the new dwords."""


def _unaligned(found: Allocation, offsets: I64, dwords: int) -> tuple[U32, U32 | None]:
    index = offsets[:, None] + np.arange(4 * dwords)[None, :]
    data = np.ascontiguousarray(found.data[index]).view(np.uint32).T
    if found.clean:
        return data, None
    return data, np.ascontiguousarray(found.shadow[index]).view(np.uint32).T
