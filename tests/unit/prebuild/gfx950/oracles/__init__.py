"""What each instruction should do, by means of another kind than the executor's.

Python integers, exact fractions, decimals, ``struct`` and ml_dtypes; never NumPy's arithmetic on
float32, which the executor uses.  ``ORACLES`` has a check for the name of every instruction; the
check runs the mnemonic that it is given on edges and random values.
"""

from __future__ import annotations

from tests.unit.prebuild.gfx950.oracles import (
    compare,
    control,
    convert,
    floats,
    integers,
    lds,
    matrix,
    memory,
    scalars,
)
from tests.unit.prebuild.gfx950.oracles.kit import Check

_MODULES = (compare, control, convert, floats, integers, lds, matrix, memory, scalars)


def _all() -> dict[str, Check]:
    found: dict[str, Check] = {}
    for module in _MODULES:
        twice = found.keys() & module.CHECKS.keys()
        assert not twice, f"{module.__name__} checks again: {sorted(twice)}"
        found.update(module.CHECKS)
    return found


ORACLES = _all()
