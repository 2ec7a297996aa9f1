"""Scalar instructions: what is undefined; the oracles have values and SCC."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.prebuild.gfx950.oracles.scalars import BITS


def test_undefined_bits_are_followed_through_masks(bench: Any) -> None:
    bench.set_scalar(4, 0x0000FFFF)
    bench.run("s_and_b32 s6, s4, s20")
    assert bench.wave.su[6] == 0x0000FFFF  # zero bits of s4 decide alone
    bench.run("s_add_i32 s6, s4, s20")
    assert bench.wave.su[6] == 0xFFFFFFFF


@pytest.mark.parametrize("name", BITS)
def test_a_bit_is_defined_where_any_value_of_the_undefined_ones_gives_the_same(
    bench: Any, name: str
) -> None:
    """Each bit position is one of the 16 cases of two source bits, known or not."""
    cases = [(a, b, x, y) for a in (0, 1) for b in (0, 1) for x in (0, 1) for y in (0, 1)]
    for register, which, unknown in ((4, 0, 2), (6, 1, 3)):
        bench.set_scalar(register, sum(case[which] << at for at, case in enumerate(cases)), 0)
        bench.wave.su[register] = sum(case[unknown] << at for at, case in enumerate(cases))
    bench.run(f"s_{name}_b64 s[8:9], s[4:5], s[6:7]")
    for at, (a, b, x, y) in enumerate(cases):
        results = {
            BITS[name](one, other) & 1
            for one in ((0, 1) if x else (a,))
            for other in ((0, 1) if y else (b,))
        }
        assert bench.wave.su[8] >> at & 1 == (len(results) > 1), (a, b, x, y)
