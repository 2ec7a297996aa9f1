"""One kernel launch, as the HIP runtime saw it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Arguments of ``hipLaunchKernel``."""

    symbol: str
    grid: tuple[int, int, int]
    """Workgroups, not threads."""
    block: tuple[int, int, int]
    kernarg: bytes
    """The kernel's argument segment as laid out by the compiler (explicit arguments)."""
    dynamic_lds: int = 0

    def segment(self, size: int) -> tuple[bytes, int]:
        """Return the kernarg segment of ``size`` bytes and how many of them are defined.

        After the explicit arguments, at a multiple of eight, HIP puts hidden ones (LLVM's AMDGPU
        documentation, code object v5): workgroups in x, y, z as u32, work-items of a workgroup as
        u16, and those of a last partial one, which our launches never have.
        """
        if size <= len(self.kernarg):
            return self.kernarg, size
        hidden = struct.pack("<3I6H", *self.grid, *self.block, 0, 0, 0)
        start = -(-len(self.kernarg) // 8) * 8
        filled = self.kernarg.ljust(start, b"\0") + hidden
        return filled[:size].ljust(size, b"\0"), min(size, len(filled))

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """Yield every workgroup id, x fastest."""
        for z in range(self.grid[2]):
            for y in range(self.grid[1]):
                for x in range(self.grid[0]):
                    yield x, y, z
