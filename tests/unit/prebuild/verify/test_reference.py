"""The reference against sums of fractions, and its bounds against float32 in awkward orders."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from prebuild.verify.problems import Batch, Kind, Problem, make_problem
from prebuild.verify.reference import (
    U_F32,
    expect,
    expect_parts,
    fp4_values,
    sum_bound,
    values_of,
)

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


def test_swiglu_clamps_gate_and_up_and_adds_one() -> None:
    batch = Batch.of(stage=1, tokens=33, topk=2, experts=4, n=128, k=512, block_m=32)
    problem = make_problem(Kind.FP8_ROW, batch)
    expected = expect(problem, routed_weight=False, activation="swiglu")
    rows = values_of(problem.kind, problem.activations, problem.activation_scales)
    weights = values_of(problem.kind, problem.weights, problem.weight_scales)
    clamped = set()
    for token in range(33):
        for slot in range(2):
            sums = weights[problem.routing.topk_ids[token, slot]] @ rows[token]
            for column in range(128):
                gate, up = sums[column], sums[128 + column]
                clamped |= {"gate"} if gate > 7 else {"up"} if up > 7 else set()
                clamped |= {"down"} if up < -7 else set()
                gate, up = min(gate, 7.0), max(-7.0, min(up, 7.0))
                exact = gate / (1 + math.exp(-1.702 * gate)) * (up + 1)
                assert expected.value[token, slot, column] == pytest.approx(exact, rel=1e-11)
    assert clamped == {"gate", "up", "down"}


@pytest.mark.parametrize("routed", [False, True])
def test_parts_of_a_split_k_are_sums_of_their_own(*, routed: bool) -> None:
    batch = Batch.of(stage=1, tokens=3, topk=2, experts=4, n=32, k=192, block_m=32, parts=3)
    problem = make_problem(Kind.MX_FP4, batch)
    expected = expect_parts(problem, routed_weight=routed)
    assert expected.value.shape == (6, 3, 64)
    assert expected.roundoff == U_F32
    for token, slot, column in ((0, 0, 0), (1, 1, 63), (2, 1, 40)):  # gate, then up
        expert = int(problem.routing.topk_ids[token, slot])
        weight = float(problem.routing.weights[token, slot]) if routed else 1.0
        whole = float(product(problem, token, expert, column)) * weight
        parts = expected.value[token * 2 + slot, :, column]
        assert parts.sum() == pytest.approx(whole, rel=1e-12)
        assert len(set(parts)) == 3


def test_the_bound_of_a_split_k_holds_for_halves_added_in_any_order() -> None:
    batch = Batch.of(stage=1, tokens=4, topk=2, experts=3, n=32, k=512, block_m=32, parts=4)
    expected = expect_parts(make_problem(Kind.MX_FP4, batch), routed_weight=False)
    value_of_sum, bound = sum_bound(expected)
    halves = expected.value.astype(np.float16).astype(np.float32)
    import itertools

    for order in itertools.permutations(range(4)):
        total = np.zeros(halves[:, 0].shape, np.float32)
        for part in order:
            total = total + halves[:, part]
        assert (np.abs(total - value_of_sum) <= bound).all()
    assert np.median(bound) < 0.002 * np.abs(value_of_sum).mean()  # not bfloat16's


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
