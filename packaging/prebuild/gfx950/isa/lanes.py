"""SDWA selects of one source."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import Any32
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.wave import Wave

Read = Callable[[Wave], Any32]


def selected(found: Instruction, select: str, read: Read) -> Read:
    """Return the SDWA part ``select`` (BYTE_0 to 3, WORD_0, WORD_1, DWORD), zero-extended."""
    if select == "DWORD":
        return read
    kind, _, number = select.partition("_")
    if kind not in ("BYTE", "WORD"):
        raise found.unsupported(f"SDWA select {select}")
    width = 8 if kind == "BYTE" else 16
    shift, mask = np.uint32(width * int(number)), np.uint32((1 << width) - 1)
    return lambda wave: (read(wave) >> shift) & mask
