"""The reference against sums of fractions, and its bounds against float32 in awkward orders."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from prebuild.verify import reference
from prebuild.verify.problems import Batch, Kind, Problem, make_problem
from prebuild.verify.reference import expect, fp4_values, sum_bound, values_of

FP4 = [Fraction(code, 2) for code in (0, 1, 2, 3, 4, 6, 8, 12)]


def value(code: int) -> Fraction:
    return -FP4[code & 7] if code & 8 else FP4[code & 7]


def product(problem: Problem, row: int, expert: int, column: int) -> Fraction:
    total = Fraction(0)
    for k in range(problem.batch.gemm.k):
        shift = 4 * (k % 2)
        a = value(int(problem.activations[row, k // 2]) >> shift & 15)
        b = value(int(problem.weights[expert, column, k // 2]) >> shift & 15)
        powers = (
            int(problem.activation_scales[row, k // 32])
            + int(problem.weight_scales[expert, column, k // 32])
            - 254
        )
        total += a * b * Fraction(2) ** powers
    return total


@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("routed", [False, True])
def test_stage_1(activation: str, *, routed: bool) -> None:
    batch = Batch.of(stage=1, tokens=3, topk=2, experts=4, n=32, k=64, block_m=32)
    problem = make_problem(Kind.MX_FP4, batch)
    expected = expect(problem, routed_weight=routed, activation=activation)
    for token, slot, column in ((0, 0, 0), (1, 1, 31), (2, 1, 7)):
        expert = int(problem.routing.topk_ids[token, slot])
        weight = float(problem.routing.weights[token, slot]) if routed else 1.0
        gate = float(product(problem, token, expert, column)) * weight
        up = float(product(problem, token, expert, 32 + column)) * weight
        active = {
            "silu": gate / (1 + math.exp(-gate)),
            "gelu": gate * (1 + math.erf(gate / math.sqrt(2))) / 2,
        }[activation]
        assert expected.value[token, slot, column] == pytest.approx(active * up, rel=1e-12)


def test_stage_2_reads_a_row_of_each_slot() -> None:
    batch = Batch.of(stage=2, tokens=3, topk=2, experts=4, n=32, k=64, block_m=32)
    problem = make_problem(Kind.MX_FP4, batch)
    expected = expect(problem, routed_weight=True)
    for token, slot, column in ((0, 1, 0), (2, 1, 31)):
        expert = int(problem.routing.topk_ids[token, slot])
        exact = product(problem, token * 2 + slot, expert, column)
        weight = Fraction(float(problem.routing.weights[token, slot]))
        assert expected.value[token, slot, column] == pytest.approx(
            float(exact * weight), rel=1e-12
        )


def test_a_scale_of_0xff_is_nan() -> None:
    scales = np.array([[127, 255]], np.uint8)
    values = fp4_values(np.full((1, 32), 0x22, np.uint8), scales)
    assert (values[0, :32] == 1.0).all()
    assert np.isnan(values[0, 32:]).all()


def test_the_bound_holds_for_float32_sums_in_any_order_and_is_not_loose() -> None:
    batch = Batch.of(stage=2, tokens=8, topk=1, experts=3, n=32, k=1024, block_m=32)
    problem = make_problem(Kind.MX_FP4, batch)
    expected = expect(problem, routed_weight=False)
    rows = fp4_values(problem.activations, problem.activation_scales).astype(np.float32)
    weights = fp4_values(problem.weights, problem.weight_scales).astype(np.float32)
    random = np.random.default_rng(0)
    for token in range(8):
        expert = problem.routing.topk_ids[token, 0]
        terms = rows[token] * weights[expert]
        for _ in range(3):
            shuffled = terms[:, random.permutation(1024)]
            total = np.zeros(32, np.float32)
            for k in range(1024):
                total = total + shuffled[:, k]
            error = np.abs(total.astype(np.float64) - expected.value[token, 0])
            assert (error <= expected.bound[token, 0]).all()
    size = np.abs(expected.value[:, 0]).mean()
    assert np.median(expected.bound) < 0.02 * size


def test_sums_allow_for_every_order_of_additions() -> None:
    batch = Batch.of(stage=2, tokens=4, topk=3, experts=4, n=32, k=256, block_m=32)
    expected = expect(make_problem(Kind.MX_FP4, batch), routed_weight=True)
    value_of_sum, bound = sum_bound(expected)
    import itertools

    parts = expected.value.astype(ml_dtypes.bfloat16)
    for order in itertools.permutations(range(3)):
        total = np.zeros(parts[:, 0].shape, ml_dtypes.bfloat16)
        for slot in order:
            total = total + parts[:, slot]
        assert (np.abs(total.astype(np.float64) - value_of_sum) <= bound).all()


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_scales_its_own_way(kind: Kind) -> None:
    batch = Batch.of(stage=2, tokens=2, topk=2, experts=3, n=256, k=256, block_m=16)
    problem = make_problem(kind, batch)
    found = values_of(kind, problem.weights, problem.weight_scales)
    assert found.shape == (3, 256, 256)
    expert, row, k = 2, 200, 131
    raw, scales = problem.weights, problem.weight_scales
    if kind is Kind.MX_FP4:
        code = int(raw[expert, row, k // 2]) >> 4 * (k % 2) & 15
        assert scales is not None
        exact = float(value(code)) * 2.0 ** (int(scales[expert, row, k // 32]) - 127)
    elif kind in (Kind.BF16, Kind.F16):
        dtype = ml_dtypes.bfloat16 if kind is Kind.BF16 else np.float16
        exact = float(raw[expert, row, 2 * k : 2 * k + 2].view(dtype)[0])
    elif kind is Kind.INT4_ROW:
        assert scales is not None
        exact = float(raw[expert, row, k : k + 1].view(np.int8)[0]) * float(scales[expert, row, 0])
    else:
        code = raw[expert, row, k : k + 1].view(ml_dtypes.float8_e4m3fn)[0]
        index = {Kind.FP8_ROW: (row, 0), Kind.FP8_TENSOR: (0, 0), Kind.FP8_BLOCK: (1, 1)}[kind]
        assert scales is not None
        exact = float(code) * float(scales[(expert, *index)])
    assert found[expert, row, k] == exact


@pytest.mark.parametrize("kind", list(Kind))
def test_problems_of_each_kind_are_of_order_one(kind: Kind) -> None:
    batch = Batch.of(stage=2, tokens=8, topk=2, experts=3, n=128, k=512, block_m=16)
    expected = expect(make_problem(kind, batch), routed_weight=False)
    assert 0.5 < expected.value.std() < 8
    assert np.isfinite(expected.bound).all()


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
        value, bound = reference._active(activation, gate, np.zeros_like(gate))
    error = np.abs(FLOAT32[activation](GATES) - value)
    assert (error <= bound).all()
    assert np.isfinite(bound).all()
    far = bound[(gate < -70) & (gate > -1e4)]
    assert far.max() < (2.0**-110 if activation == "silu" else 2.0**-125)
    assert (bound <= 2.0**-19 * (1 + np.abs(gate)) + 2.0**-125).all()


@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_a_gate_with_an_error_moves_the_activation_by_what_its_slope_allows(
    activation: str,
) -> None:
    gate = np.linspace(-20, 20, 2001)
    for error in (1e-6, 0.01, 0.5, 3.0):
        value, bound = reference._active(activation, gate, np.full_like(gate, error))
        for part in np.linspace(-error, error, 41):
            other, _ = reference._active(activation, gate + part, np.zeros_like(gate))
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
        value, bound = reference._gated(total, np.zeros_like(total), activation)
    if result is None:
        assert bound == np.inf
    else:
        assert np.array_equal(value, [[result]], equal_nan=True)
        assert bound == 0 or result == 0


def test_sums_beyond_float32_are_infinite_where_no_order_keeps_them_finite() -> None:
    half = 1.01 * 2.0**127
    rows = np.array([[half, half, 0], [half, half, -half], [half, 0, 0], [np.inf, 1, 0]])
    with np.errstate(invalid="ignore"):
        value, bound = reference._contract(rows, np.ones((1, 3)))
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
        value, bound = reference._rounded(np.array(size), np.array(0.0), out)
        assert float(value) == (size if stays else np.inf)
        with np.errstate(over="ignore"):
            assert np.isfinite(np.array(size).astype(dtype)) == stays
        assert np.isfinite(bound)
    _, bound = reference._rounded(np.array(largest), np.array(0.01 * largest), out)
    assert bound == np.inf
