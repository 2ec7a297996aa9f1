"""The bounds of single steps against float32 itself, from end to end of it."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from prebuild.verify.bounds import active, contract, gated, rounded


def flushed(data: np.ndarray) -> np.ndarray:
    return np.where(np.abs(data) < 2.0**-126, np.float32(0), data).astype(np.float32)


def silu_in_float32(gate: np.ndarray) -> np.ndarray:
    """As CK writes it, denormals flushed after every step."""
    one = np.float32(1)
    with np.errstate(all="ignore"):
        return flushed(gate * flushed(one / (one + np.exp(-gate))))


def gelu_in_float32(gate: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        argument = (np.float32(0.70710678118) * gate).astype(np.float64)
        erf = np.vectorize(math.erf, otypes=[np.float32])(argument)
        return flushed(np.float32(0.5) * gate * (np.float32(1) + erf))


FLOAT32 = {"silu": silu_in_float32, "gelu": gelu_in_float32}
GATES = np.concatenate(
    [
        np.linspace(-110, 110, 4001),
        np.linspace(-88.8, -87.2, 801),
        np.linspace(-7, 7, 2001),
        *(sign * 2.0 ** np.arange(-126, 128) for sign in (1, -1)),
        [0.0, 3.4e38, -3.4e38],
    ]
).astype(np.float32)


@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_the_activations_bound_holds_from_end_to_end_and_is_not_loose(activation: str) -> None:
    gate = GATES.astype(np.float64)
    with np.errstate(all="ignore"):
        value, bound = active(activation, gate, np.zeros_like(gate))
    error = np.abs(FLOAT32[activation](GATES) - value)
    assert (error <= bound).all()
    assert np.isfinite(bound).all()
    far = bound[(gate < -80) & (gate > -86.5)]
    assert far.max() < 2.0**-125
    assert bound[(gate < -86.5) & (gate > -1e4)].max() < 2.0**-118
    assert (bound <= 2.0**-19 * (1 + np.abs(gate)) + 2.0**-125).all()


@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_a_gate_with_an_error_moves_the_activation_by_what_its_slope_allows(
    activation: str,
) -> None:
    gate = np.linspace(-20, 20, 2001)
    for error in (1e-6, 0.01, 0.5, 3.0):
        value, bound = active(activation, gate, np.full_like(gate, error))
        for part in np.linspace(-error, error, 41):
            other, _ = active(activation, gate + part, np.zeros_like(gate))
            assert (np.abs(other - value) <= bound).all()
        assert (bound <= 1.2 * error + 2.0**-18 * (1 + np.abs(gate))).all()


@pytest.mark.parametrize(
    ("gate", "up", "result"),
    [
        (-np.inf, 1.0, np.nan),  # infinity times the zero of the sigmoid or of 1 + erf
        (np.inf, 2.0, np.inf),
        (np.inf, -2.0, -np.inf),
        (np.inf, 0.0, np.nan),
        (np.nan, 1.0, np.nan),
        (-100.0, np.inf, None),  # minus zero or a denormal number: NaN or infinity
        (-3e38, 1.0, 0.0),
        (3e38, 10.0, np.inf),
    ],
)
@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_what_becomes_of_numbers_that_are_not_finite(
    activation: str, gate: float, up: float, result: float | None
) -> None:
    total = np.array([[gate, up]])
    with np.errstate(all="ignore"):
        value, bound = gated(total, np.zeros_like(total), activation)
    if result is None:
        assert bound == np.inf
    else:
        assert np.array_equal(value, [[result]], equal_nan=True)
        assert bound == 0 or result == 0


def test_sums_beyond_float32_are_infinite_where_no_order_keeps_them_finite() -> None:
    half = 1.01 * 2.0**127
    rows = np.array([[half, half, 0], [half, half, -half], [half, 0, 0], [np.inf, 1, 0]])
    with np.errstate(invalid="ignore"):
        value, bound = contract(rows, np.ones((1, 3)))
    assert value[0] == np.inf
    assert bound[0] == 0
    assert bound[1] == np.inf, "half + half - half: infinite or not, as the order has it"
    assert np.isfinite(bound[2])
    assert (value[3], bound[3]) == (np.inf, 0)


@pytest.mark.parametrize("out", ["bf16", "f16"])
def test_rounding_to_the_output_overflows_where_the_format_does(out: str) -> None:
    dtype = ml_dtypes.bfloat16 if out == "bf16" else np.float16
    largest = float(ml_dtypes.finfo(dtype).max)
    for size, stays in ((0.9 * largest, True), (largest, True), (1.01 * largest, False)):
        value, bound = rounded(np.array(size), np.array(0.0), out)
        assert float(value) == (size if stays else np.inf)
        with np.errstate(over="ignore"):
            assert np.isfinite(np.array(size).astype(dtype)) == stays
        assert np.isfinite(bound)
    _, bound = rounded(np.array(largest), np.array(0.01 * largest), out)
    assert bound == np.inf
