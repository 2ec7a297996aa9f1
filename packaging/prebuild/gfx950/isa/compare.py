"""Vector comparisons: one bit a lane, zero for lanes that are off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prebuild.gfx950.arrays import Any32, Lanes, every_lane, mask_of
from prebuild.gfx950.disassembly import Instruction, Operand
from prebuild.gfx950.isa.registry import Run, Traits, family
from prebuild.gfx950.isa.shapes import Read, sources_of
from prebuild.gfx950.isa.sources import lane_shadow, lanes32, lanes64, lanes_f32, set_scalar64
from prebuild.gfx950.wave import Wave

Test = Callable[[Any32, Any32], Lanes]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How sources are read, and what is asked of them."""

    read: Read
    test: Test


def _signed(found: Instruction, operand: Operand, position: int) -> Callable[[Wave], Any32]:
    """Read 32 bits a lane as two's complement."""
    raw = lanes32(found, operand, position)
    return lambda wave: np.asarray(raw(wave)).view(np.int32)


_TESTS: dict[str, Test] = {
    "eq": lambda a, b: a == b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ne": lambda a, b: a != b,
    "ngt": lambda a, b: ~(a > b),
    "nlt": lambda a, b: ~(a < b),
}


def _table(kind: str, read: Read, verbs: str) -> dict[str, Comparison]:
    """Return the comparisons ``verbs`` of one kind of source."""
    return {
        f"v_cmp_{verb}_{kind}": Comparison(read=read, test=_TESTS[verb]) for verb in verbs.split()
    }


_NARROW = {
    **_table("f32", lanes_f32, "gt ngt nlt"),
    **_table("u32", lanes32, "eq gt ne"),
    **_table("i32", _signed, "le gt"),
}
_WIDE = _table("i64", lanes64, "gt")


@family(_NARROW, traits=Traits(selects=True))
@family(_WIDE)
def _compare(found: Instruction, comparison: Comparison) -> Run:
    """Write the verdict of each lane into a pair of SGPRs."""
    put = set_scalar64(found, found.operands[0])
    sources = sources_of(found, 2)
    left, right = (comparison.read(found, operand, at) for at, operand in enumerate(sources))
    test, shadow = comparison.test, lane_shadow(sources)

    def run(wave: Wave) -> None:
        bits = mask_of(every_lane(test(left(wave), right(wave))))
        put(wave, bits & wave.exec, shadow(wave) & wave.exec)

    return run
