"""One kernel launch, as the HIP runtime saw it."""

from __future__ import annotations

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

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """Yield every workgroup id, x fastest."""
        for z in range(self.grid[2]):
            for y in range(self.grid[1]):
                for x in range(self.grid[0]):
                    yield x, y, z
