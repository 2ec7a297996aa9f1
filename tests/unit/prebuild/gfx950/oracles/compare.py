"""Vector comparisons against Python's own."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from tests.unit.prebuild.gfx950.exact import value_of
from tests.unit.prebuild.gfx950.oracles.kit import (
    EDGES32,
    EDGES64,
    FLOATS32,
    M32,
    Check,
    Kit,
    batches,
    form_of,
    formed,
    set_wide,
    signed,
)

Test = Callable[[Any, Any], bool]


def unordered(a: Any, b: Any) -> bool:
    return math.isnan(a) or math.isnan(b)


TESTS: dict[str, Test] = {
    "eq": operator.eq,
    "le": operator.le,
    "gt": operator.gt,
    "ne": operator.ne,
    "ngt": lambda a, b: unordered(a, b) or a <= b,
    "nlt": lambda a, b: unordered(a, b) or a >= b,
}
READ: dict[str, Callable[[int], Any]] = {
    "u32": lambda a: a,
    "i32": signed,
    "f32": value_of,
    "i64": lambda a: signed(a, 64),
}
EXEC = 0xFFFF0FFFFFFFFFFD


def check(kit: Kit, mnemonic: str) -> None:
    _, _, verb, kind = mnemonic.removesuffix(f"_{form_of(mnemonic)}").split("_")
    test = TESTS[verb]
    wide = kind.endswith("64")
    edges = {"f32": FLOATS32, "i64": EDGES64}.get(kind, EDGES32)
    target, index = ("vcc", 106) if form_of(mnemonic) == "e32" else ("s[4:5]", 4)
    for sources in batches(edges, 2, 64 if wide else 32, seed=11):
        sources[1][::7] = sources[0][::7]
        bench = kit.bench()
        bench.wave.denorm32 = 3
        for register, values in zip((10, 20), sources, strict=True):
            if wide:
                set_wide(bench, register, values)
            else:
                bench.set(register, [value % M32 for value in values])
        bench.wave.set_exec(EXEC)
        extra, seen = formed(mnemonic, sources)
        names = "v[10:11], v[20:21]" if wide else "v10, v20"
        bench.run(f"{mnemonic} {target}, {names}{extra}")
        pairs = zip(*seen, strict=True)
        bits = sum(
            bool(test(READ[kind](a), READ[kind](b))) << lane for lane, (a, b) in enumerate(pairs)
        )
        assert bench.wave.get64(index) == bits & bench.wave.exec


VERBS = {
    "f32": ("gt", "ngt", "nlt"),
    "i32": ("le", "gt"),
    "u32": ("eq", "gt", "ne"),
    "i64": ("gt",),
}
CHECKS: dict[str, Check] = {
    f"v_cmp_{verb}_{kind}": check for kind, verbs in VERBS.items() for verb in verbs
}
