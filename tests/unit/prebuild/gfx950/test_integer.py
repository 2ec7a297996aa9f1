"""Integer instructions: shadows, lane moves, implicit operands; the oracles have the values."""

from __future__ import annotations

from typing import Any


def test_choosing_an_undefined_value_only_where_it_is_chosen(bench: Any) -> None:
    bench.set(1, 11)
    bench.set_scalar(4, 0b10, 0)
    bench.run("v_cndmask_b32_e64 v0, v1, v9, s[4:5]")
    assert bench.undefined(0) == 0b10


def test_low_dword_does_not_depend_on_an_undefined_high_one(bench: Any) -> None:
    bench.set(1, 3)
    bench.set(2, 4)
    bench.set(3, 5)
    bench.run("v_mad_u64_u32 v[6:7], s[0:1], v1, v2, v[3:4]")
    assert bench.undefined(6) == 0
    assert bench.undefined(7) == 2**64 - 1
