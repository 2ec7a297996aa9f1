"""Vector comparisons: one bit a lane, zero for lanes that are off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prebuild.gfx950.arrays import Any32, Lanes, every_lane, mask_of
from prebuild.gfx950.disassembly import EXEC, Instruction
from prebuild.gfx950.isa.registry import Run, base_name, instruction
from prebuild.gfx950.isa.sources import float32_of, lane_shadow, lanes64, permuted, plain32
from prebuild.gfx950.wave import Wave

Test = Callable[[Any32, Any32], Lanes]


def _ordered(left: Any32, right: Any32) -> Lanes:
    return ~(np.isnan(left) | np.isnan(right))


_TESTS: dict[str, Test] = {
    "lt": lambda a, b: a < b,
    "eq": lambda a, b: a == b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_INTEGER_TESTS: dict[str, Test] = {**_TESTS, "ne": lambda a, b: a != b}
_FLOAT_TESTS: dict[str, Test] = {
    **_TESTS,
    "lg": lambda a, b: (a < b) | (a > b),
    "o": _ordered,
    "u": lambda a, b: ~_ordered(a, b),
    "nge": lambda a, b: ~(a >= b),
    "nlg": lambda a, b: ~((a < b) | (a > b)),
    "ngt": lambda a, b: ~(a > b),
    "nle": lambda a, b: ~(a <= b),
    "neq": lambda a, b: ~(a == b),
    "nlt": lambda a, b: ~(a < b),
}


def _reader(found: Instruction, position: int, kind: str) -> Callable[[Wave], Any32]:
    operand = found.operands[position + 1]
    if kind == "f32":
        return float32_of(found, operand, position)
    if kind in ("i64", "u64"):
        wide = lanes64(found, operand)
        if kind == "i64":
            return wide
        return lambda wave: np.asarray(wide(wave)).view(np.uint64)
    raw = permuted(found, position, plain32(found, operand))
    if kind == "u32":
        return raw
    if kind == "i32":
        return lambda wave: raw(wave).view(np.int32)
    narrow = np.int16 if kind == "i16" else np.uint16
    return lambda wave: raw(wave).astype(np.uint16).view(narrow)


def _build(found: Instruction) -> Run:
    name = base_name(found.mnemonic)[0]
    _, verb, test_name, kind = name.split("_")
    table = _FLOAT_TESTS if kind.startswith("f") else _INTEGER_TESTS
    test = table[test_name]
    target = found.operands[0]
    if target.kind != "s" or target.count != 2:
        raise found.unsupported(f"comparison into {target.text}")
    left, right = _reader(found, 0, kind), _reader(found, 1, kind)
    shadow = lane_shadow(found.operands[1:3])
    index = target.index
    narrows = verb == "cmpx"

    def run(wave: Wave) -> None:
        bits = mask_of(every_lane(test(left(wave), right(wave)))) & wave.exec
        undefined = shadow(wave) & wave.exec
        wave.set_pair(index, bits, undefined)
        if narrows:
            wave.set_pair(EXEC, bits, undefined)

    return run


for _kind in ("i32", "u32", "i64", "u64", "i16", "u16"):
    for _name in _INTEGER_TESTS:
        instruction(f"v_cmp_{_name}_{_kind}", f"v_cmpx_{_name}_{_kind}")(_build)
for _name in _FLOAT_TESTS:
    instruction(f"v_cmp_{_name}_f32", f"v_cmpx_{_name}_f32")(_build)
