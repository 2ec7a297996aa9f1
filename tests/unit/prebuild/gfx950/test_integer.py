"""Integer instructions: shadows, lane moves, implicit operands; the oracles have the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def test_choosing_an_undefined_value_only_where_it_is_chosen(bench: Any) -> None:
    bench.set(1, 11)
    bench.set_scalar(4, 0b10, 0)
    bench.run("v_cndmask_b32_e64 v0, v1, v9, s[4:5]")
    assert bench.undefined(0) == 0b10


@pytest.mark.parametrize(
    ("control", "source"),
    [
        ("quad_perm:[1,0,3,2]", lambda lane: lane ^ 1),
        ("row_ror:4", lambda lane: (lane & ~15) | (lane - 4) % 16),
        ("row_newbcast:5", lambda lane: (lane & ~15) | 5),
        ("row_mirror", lambda lane: lane ^ 15),
        ("row_half_mirror", lambda lane: lane ^ 7),
    ],
)
def test_lanes_moved_within_a_row(bench: Any, control: str, source: Any) -> None:
    bench.set(1, np.arange(64) + 100)
    bench.run(f"v_mov_b32_dpp v0, v1 {control} row_mask:0xf bank_mask:0xf")
    assert bench.ints(0) == [source(lane) + 100 for lane in range(64)]


def test_shift_within_a_row_reads_zero_from_outside(bench: Any) -> None:
    bench.set(1, np.arange(64) + 100)
    bench.run("v_mov_b32_dpp v0, v1 row_shr:1 row_mask:0xf bank_mask:0xf bound_ctrl:1")
    assert bench.ints(0)[:3] == [0, 100, 101]
    assert bench.ints(0)[16] == 0


def test_low_dword_does_not_depend_on_an_undefined_high_one(bench: Any) -> None:
    bench.set(1, 3)
    bench.set(2, 4)
    bench.set(3, 5)
    bench.run("v_mad_u64_u32 v[6:7], s[0:1], v1, v2, v[3:4]")
    assert bench.undefined(6) == 0
    assert bench.undefined(7) == 2**64 - 1
