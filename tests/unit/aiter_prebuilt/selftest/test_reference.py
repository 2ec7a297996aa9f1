"""The reference against the build side's, which is written with NumPy and ml_dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiter_prebuilt.selftest import reference
from aiter_prebuilt.selftest.problems import EXPERTS, Operand, Problem, make_problem
from aiter_prebuilt.selftest.reference import Expected, expect
from aiter_prebuilt.selftest.scales import SCALES
from prebuild.verify import problems as build_side
from prebuild.verify.reference import expect as expect_by_numpy
from prebuild.verify.reference import expect_parts, sum_bound
from tests.unit.aiter_prebuilt.selftest.kinds import KINDS, case, features, split_case

KIND_OF = {
    ("fp4x2", "mx"): build_side.Kind.MX_FP4,
    ("f8", "row"): build_side.Kind.FP8_ROW,
    ("f8", "tensor"): build_side.Kind.FP8_TENSOR,
    ("f8", "wide"): build_side.Kind.FP8_BLOCK,
    ("i4", "row"): build_side.Kind.INT4_ROW,
    ("i4", "tensor"): build_side.Kind.INT4_ROW,
    ("b16", "none"): build_side.Kind.BF16,
    ("f16", "none"): build_side.Kind.F16,
}


def scales_of(operand: Operand, kind: build_side.Kind) -> Any:
    """One factor a row of what the build side expects; MX as e8m0 bytes."""
    if operand.scales is None:
        return None
    factors = np.array(operand.scales.factors)
    if kind is build_side.Kind.MX_FP4:
        return np.where(np.isnan(factors), 255, np.log2(factors) + 127).astype(np.uint8)
    return factors.astype(np.float32)


def by_numpy(problem: Problem) -> tuple[Any, Any]:
    """The same numbers through the build side's reference."""
    kind = KIND_OF[problem.features.b_dtype, SCALES[problem.features.quant]]
    topk_ids = np.array(problem.routing, np.int32)
    weights = np.array(problem.routed_weights, np.float32)
    batch = build_side.Batch.of(
        stage=problem.stage, tokens=problem.tokens, topk=problem.topk, experts=EXPERTS,
        n=problem.n, k=problem.k, block_m=problem.block_m, parts=problem.parts,
    )  # fmt: skip
    a, w = problem.activations, problem.weights
    rows = len(w.rows) // EXPERTS
    codes = np.frombuffer(b"".join(w.rows), np.uint8).reshape(EXPERTS, rows, -1)
    w_scales = scales_of(w, kind)
    if w_scales is not None:
        w_scales = w_scales.reshape(EXPERTS, rows, -1)
        w_scales = w_scales[:, :: build_side.WIDE_BLOCK] if "BLOCK" in kind.name else w_scales
        w_scales = w_scales[:, :1] if kind is build_side.Kind.FP8_TENSOR else w_scales
    given = build_side.Problem(
        kind=kind,
        batch=batch,
        routing=build_side.sort(batch, topk_ids, weights),
        activations=np.frombuffer(b"".join(a.rows), np.uint8).reshape(len(a.rows), -1),
        activation_scales=scales_of(a, kind),
        weights=codes,
        weight_scales=w_scales,
    )
    if problem.splits:
        return sum_bound(expect_parts(given, routed_weight=problem.multiplies))
    found = expect_by_numpy(
        given,
        routed_weight=problem.multiplies,
        activation=problem.features.activation,
        out=problem.features.c_dtype.replace("b16", "bf16"),
    )
    return (found.value, found.bound) if problem.stage == 1 else sum_bound(found)


def same(found: Expected, value: Any, bound: Any) -> None:
    """Both agree to within what float64 loses, which is a small part of the bound."""
    values, bounds = np.array(found.values), np.array(found.bounds)
    value, bound = value.reshape(-1), bound.reshape(-1)
    assert np.allclose(bounds, bound, rtol=1e-6, atol=0)
    with np.errstate(invalid="ignore"):
        near = np.abs(values - value) <= 1e-4 * bound
    assert (near | (values == value) | (np.isnan(values) & np.isnan(value))).all()
    assert np.isfinite(values).mean() > 0.8
    assert np.isinf(bounds).mean() < 0.05  # swiglu of NaN, and what is near to overflow


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize(("a", "b", "quant"), KINDS)
def test_values_and_bounds_are_numpys(a: str, b: str, quant: str, stage: int) -> None:
    kind = features(a, b, quant, c_dtype="f16" if a == "f16" else "b16")
    problem = make_problem(case(kind, stage), seed=4)
    found = expect(problem)
    with np.errstate(invalid="ignore"):  # the idle expert's NaN
        value, bound = by_numpy(problem)
    same(found, value, bound)


@pytest.mark.parametrize(("stage", "of"), [(1, 1), (1, 2), (2, 2), (2, 1)])
@pytest.mark.parametrize("activation", ["silu", "gelu", "swiglu"])
def test_activations_and_routed_weights(stage: int, of: int, activation: str) -> None:
    kind = features("f8", "f8", "per_token", activation=activation, routed_weight_stage=of)
    problem = make_problem(case(kind, stage), seed=9)
    assert problem.multiplies == (stage == of)
    found = expect(problem)
    with np.errstate(invalid="ignore"):
        value, bound = by_numpy(problem)
    same(found, value, bound)


@pytest.mark.parametrize("of", [1, 2])
def test_a_split_k_gives_the_sums_of_gate_and_up(of: int) -> None:
    kind = features("f8", "f8", "per_1x128", routed_weight_stage=of, splitk=True)
    problem = make_problem(split_case(kind), seed=3)
    found = expect(problem)
    with np.errstate(invalid="ignore"):
        value, bound = by_numpy(problem)
    same(found, value, bound)


def test_both_dot_products_agree() -> None:
    left, right = [0.1, 2.0, -3.5], [7.0, 0.25, 1e-3]
    assert reference._plain_dot(left, right) == pytest.approx(reference._dot(left, right))
