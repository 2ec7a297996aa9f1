"""Comparisons: lanes that are off, undefined sources; the oracles have the verdicts."""

from __future__ import annotations

from typing import Any


def test_lanes_off_give_zero(bench: Any) -> None:
    bench.set(1, 1)
    bench.wave.set_exec(0b1010)
    bench.run("v_cmp_eq_u32_e32 vcc, 1, v1")
    assert bench.wave.get64(106) == 0b1010


def test_undefined_lanes_give_undefined_bits(bench: Any) -> None:
    bench.set(1, 1)
    bench.wave.vu[1] = 0b100
    bench.run("v_cmp_eq_u32_e32 vcc, 1, v1")
    assert bench.wave.su[106] == 0b100
