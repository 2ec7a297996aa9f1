"""What the problem with extreme values holds, for every kind of operands."""

from __future__ import annotations

import numpy as np
import pytest

from prebuild.verify import extremes
from prebuild.verify.bounds import LARGEST_F32
from prebuild.verify.problems import Batch, Kind, Problem, make_problem
from prebuild.verify.reference import expect, values_of

KINDS = list(Kind)
SCALED = [kind for kind in KINDS if kind not in (Kind.BF16, Kind.F16)]
BY_ROW = (Kind.FP8_ROW, Kind.INT4_ROW)
N, K = 128, 512


def problem(kind: Kind, stage: int = 1) -> Problem:
    return make_problem(kind, Batch.of_extremes(stage=stage, n=N, k=K, block_m=32))


def sums(made: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact sums of gate and up."""
    rows = values_of(made.kind, made.activations, made.activation_scales)
    weights = values_of(made.kind, made.weights, made.weight_scales)[extremes.EXPERT]
    with np.errstate(all="ignore"):
        total = rows @ weights.T
    return total[:, :N], total[:, N:]


@pytest.mark.parametrize("kind", KINDS)
def test_gates_reach_both_ends_of_the_exponential(kind: Kind) -> None:
    gate, _ = sums(problem(kind))
    gate = gate[np.isfinite(gate)]
    for low, high in ((-87.3, -20), (20, 88.7), (-1000, -88.8), (88.8, 1000)):
        assert ((gate > low) & (gate < high)).sum() > 5, (low, high)
    far = gate if kind is not Kind.FP8_TENSOR else gate * 64  # it has no scale of a row
    assert np.abs(far).max() > 1e4
    assert (gate == 0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_gate_lies_where_the_sigmoid_is_denormal(kind: Kind) -> None:
    gate, _ = sums(problem(kind))
    shared = kind in (Kind.FP8_TENSOR, Kind.FP8_BLOCK)  # scales of weights, by many rows
    assert shared or (gate == -88).any()


@pytest.mark.parametrize("kind", [Kind.MX_FP4, Kind.BF16])
def test_gates_are_infinite_and_beyond_float32(kind: Kind) -> None:
    gate, _ = sums(problem(kind))
    assert (gate > LARGEST_F32).any()
    assert (gate < -LARGEST_F32).any()


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_zero_denormal_large_and_nan(kind: Kind, stage: int) -> None:
    made = problem(kind, stage)
    found = expect(made, routed_weight=False)
    size = np.abs(found.value)
    assert np.isnan(size).any()
    assert (size[np.isfinite(size)] == 0).any()
    assert np.isfinite(size).mean() > 0.5
    if kind not in (Kind.FP8_TENSOR, Kind.F16):
        assert ((size > 2.0**100) & np.isfinite(size)).any()
        assert stage == 2 or (size == np.inf).any()
        assert stage == 2 or ((size < 2.0**-126) & (size > 0)).any()


@pytest.mark.parametrize("out", ["bf16", "f16"])
@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_hardly_any_element_may_be_anything(
    kind: Kind, routed: bool, activation: str, out: str
) -> None:
    for stage in (1, 2):
        found = expect(problem(kind, stage), routed_weight=routed, activation=activation, out=out)
        assert not np.isnan(found.bound).any()
        assert np.isinf(found.bound).mean() < 0.02
        exact = ~np.isfinite(found.value) & ~np.isinf(found.bound)
        assert (found.bound[exact] == 0).all()


def test_e8m0_bytes_cover_what_the_quantisers_give() -> None:
    made = problem(Kind.MX_FP4)
    assert made.activation_scales is not None
    assert made.weight_scales is not None
    given = set(made.activation_scales.reshape(-1).tolist())
    assert {0, 92, 253, 255} <= given
    assert max(given - {253, 255}) > 220
    assert 0 < min(given - {0}) < 40
    weights = set(made.weight_scales[extremes.EXPERT].reshape(-1).tolist())
    assert {0, 254, 255} <= weights


@pytest.mark.parametrize("kind", SCALED[1:])
def test_float32_scales_are_from_tiny_to_large(kind: Kind) -> None:
    made = problem(kind)
    assert made.activation_scales is not None
    scales = made.activation_scales
    assert scales.dtype == np.float32
    if kind is Kind.FP8_TENSOR:
        return
    assert scales.max() == np.float32(7.6e35)
    assert 0 < scales[scales > 0].min() < 1e-27
    assert np.float32(1e-10 / 448) in scales
    assert (scales == 0).any() == (kind in BY_ROW)
    if kind in BY_ROW:  # codes that are not zero, under a scale that is
        (row,) = np.flatnonzero(scales[:, 0] == 0)
        assert made.activations[row].all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_products_of_scales_stay_normal_numbers(kind: Kind) -> None:
    """Kernels multiply the scales first; beyond float32 the result would depend on that."""
    made = problem(kind)
    if kind in (Kind.MX_FP4, Kind.BF16, Kind.F16):
        return
    assert made.activation_scales is not None
    assert made.weight_scales is not None
    left = made.activation_scales.astype(np.float64).reshape(-1)
    right = made.weight_scales[extremes.EXPERT].astype(np.float64).reshape(-1)
    products = np.outer(left[left > 0], right)
    assert products.max() < LARGEST_F32
    assert products.min() > 2.0**-126


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_block_of_k_counts(kind: Kind) -> None:
    """A kernel that left it out would find no NaN."""
    made = problem(kind, stage=2)
    rows = values_of(kind, made.activations, made.activation_scales)
    assert np.isnan(rows[13, -32:]).any()
    assert not np.isnan(rows[13, :-128]).any()
    assert np.isinf(rows).any() == (kind in (Kind.BF16, Kind.F16))
