"""SDWA selects and DPP permutations of one source."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import I64, WAVE, Any32
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


def dpp(found: Instruction, read: Read) -> Read:
    """Return source 0 moved between lanes; lanes without a source read 0 (bound_ctrl)."""
    if found.modifiers.get("row_mask") != "0xf" or found.modifiers.get("bank_mask") != "0xf":
        raise found.unsupported("DPP row or bank mask is not modelled")
    source = dpp_source(found)
    outside = source < 0
    if outside.any() and "bound_ctrl" not in found.modifiers:
        raise found.unsupported("DPP without bound_ctrl that leaves a row")
    index = np.where(outside, 0, source)

    def moved(wave: Wave) -> Any32:
        if wave.exec != (1 << WAVE) - 1:
            raise found.unsupported("DPP with lanes off")
        return np.where(outside, np.uint32(0), read(wave)[index])

    return moved


def dpp_source(found: Instruction) -> I64:
    """Return for each lane the lane that it reads, -1 where that lies outside its row."""
    lane = np.arange(WAVE)
    row, place = lane & ~15, lane & 15
    modifiers = found.modifiers
    if "quad_perm" in modifiers:
        order = np.array([int(part) for part in modifiers["quad_perm"].strip("[]").split(",")])
        quad: I64 = (lane & ~3) | order[lane & 3]
        return quad
    if "row_ror" in modifiers:
        return row | (place - int(modifiers["row_ror"])) & 15
    if "row_newbcast" in modifiers:
        return row | int(modifiers["row_newbcast"])
    if "row_mirror" in modifiers:
        return row | (15 - place)
    if "row_half_mirror" in modifiers:
        return (lane & ~7) | (7 - (lane & 7))
    if "row_shr" in modifiers:
        moved = place - int(modifiers["row_shr"])
        return np.where(moved >= 0, row | moved, -1)
    if "row_shl" in modifiers:
        moved = place + int(modifiers["row_shl"])
        return np.where(moved < 16, row | moved, -1)
    raise found.unsupported("DPP control is not modelled")
