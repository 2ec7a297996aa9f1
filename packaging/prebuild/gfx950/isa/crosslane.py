"""Vector instructions that look across lanes: read and write one, count a mask's bits below."""

from __future__ import annotations

import numpy as np

from prebuild.gfx950.arrays import M32, Any32, every_lane
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.isa.registry import Run, family, instruction
from prebuild.gfx950.isa.shapes import per_lane, sources_of
from prebuild.gfx950.isa.sources import (
    lanes32,
    scalar32,
    set_scalar32,
    shadow32,
    vector_destination,
    vector_source,
)
from prebuild.gfx950.wave import BYTES, Wave, any_byte


@instruction("v_readfirstlane_b32")
def _readfirstlane(found: Instruction) -> Run:
    """Copy the first active lane (lane 0 where none is) to an SGPR."""
    (source,) = sources_of(found, 1)
    put = set_scalar32(found, found.operands[0])
    index = vector_source(found, source).index

    def run(wave: Wave) -> None:
        lane = int(wave.active[0]) if wave.active.size else 0
        undefined = M32 if any_byte(wave.vu[index]) >> lane & 1 else 0
        put(wave, int(wave.rows[index][lane]), undefined)

    return run


@instruction("v_readlane_b32")
def _readlane(found: Instruction) -> Run:
    """Copy one lane, whether it is active or not, to an SGPR."""
    source, select = sources_of(found, 2)
    put = set_scalar32(found, found.operands[0])
    lane_of, index = scalar32(found, select), vector_source(found, source).index

    def run(wave: Wave) -> None:
        lane = lane_of(wave) & 63
        undefined = M32 if any_byte(wave.vu[index]) >> lane & 1 else 0
        put(wave, int(wave.rows[index][lane]), undefined)

    return run


@instruction("v_writelane_b32")
def _writelane(found: Instruction) -> Run:
    """Write one lane of a VGPR, whether it is active or not."""
    register = vector_destination(found)
    source, select = sources_of(found, 2)
    value, lane_of, shadow = scalar32(found, source), scalar32(found, select), shadow32(source)

    def run(wave: Wave) -> None:
        lane = lane_of(wave) & 63
        wave.rows[register][lane] = value(wave)
        undefined = BYTES << lane if shadow(wave) else 0
        wave.vu[register] = (wave.vu[register] & ~(BYTES << lane)) | undefined

    return run


_FIRST_LANES = {"v_mbcnt_lo_u32_b32": 0, "v_mbcnt_hi_u32_b32": 32}


@family(_FIRST_LANES)
def _mbcnt(found: Instruction, first: int) -> Run:
    """Count the mask's bits below the lane's own, in this half of the wave, and add source 1."""
    own = np.arange(64) - first
    below = np.array([(1 << min(max(place, 0), 32)) - 1 for place in own.tolist()], np.uint64)

    def count(mask: Any32, base: Any32) -> Any32:
        bits = every_lane(mask.astype(np.uint64)) & below
        ones = np.array([int(value).bit_count() for value in bits.tolist()], np.uint32)
        return ones + base

    return per_lane(found, count, sources_of(found, 2), read=lanes32)
