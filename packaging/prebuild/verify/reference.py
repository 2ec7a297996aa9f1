"""The operation by its definition in float64, and how far a kernel may be from it.

Bounds (u = 2**-24 is the unit roundoff of float32, v that of the output type):

- A sum of K products in float32, in whatever order and with whatever association, each product
  exact: |error| <= g * S with S the sum of the absolute products and g = n*u / (1 - n*u)
  (Higham, Accuracy and Stability, section 4.2), n = K + 4: scales that are no powers of two add up
  to four roundings.
- silu(x) = x / (1 + exp(-x)): its slope is at most 1.1, so an error e of x gives at most 1.1 * e.
  Its own evaluation in float32 (exp within 4 ulp with its argument reduction, one addition, a
  division and a product) is off by at most 16 * u relative.
- gelu(x) = x * (1 + erf(x / sqrt 2)) / 2: slope at most 1.13; erf is off by at most 16 * u, and so
  the result by at most 16 * u * (1 + |x|), as 1 + erf may cancel.
- A product of two rounded factors: the first-order terms, their product, and u relative.
- Rounding to the output: v relative to the value before it (bfloat16 2**-8, half 2**-11), and the
  smallest normal number, 2**-126 or 2**-14, where denormals may be flushed.
- swiglu(g, y) = g / (1 + exp(-1.702 * g)) * (y + 1) with g at most 7 and y within 7 of 0: a clamp
  makes no error larger; the slope in g is that of silu at 1.702 * g; that product is off by u
  relative, which changes the quotient by at most 1.702 * |g| * u relative; y + 1 is off by u.
- Stage 2 adds topk rounded contributions in the output type in some order: each addition is off by
  at most v times a partial sum, which is at most the sum of the absolute contributions.
- A split K adds the parts in float32, in some order: the bound of stage 2's additions with u for v.
  Each part is a sum of its own, rounded to half before it is added.

A routed weight multiplies gate and up before the activation (stage 1), or the result (stage 2).
Where K is split, stage 1 gives gate and up themselves: the caller activates their sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt

from prebuild.verify.problems import SCALE_BLOCK, U8, WIDE_BLOCK, Kind, Problem, Scales

F64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
U_F32 = 2.0**-24
ROUNDOFF = {"bf16": 2.0**-8, "f16": 2.0**-11}
SMALLEST = {"bf16": 2.0**-126, "f16": 2.0**-14}
_SILU_SLOPE = 1.1
_SILU_EVALUATION = 16 * U_F32
_SCALING = 4
"""Further float32 roundings of a term or a sum: two scales, their product, the sum of blocks."""
_GELU_SLOPE = 1.13
_GELU_EVALUATION = 16 * U_F32
_SWIGLU_ALPHA, _SWIGLU_LIMIT = 1.702, 7.0
"""Those of the OAI swiglu in CK's XDL epilogue (rocm-libraries pull request 8944)."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a kernel has to give, (tokens, topk, n), before the sum over slots in stage 2.

    Where K is split (tokens * topk, parts, 2 * n), before the sum over parts.
    """

    value: F64
    bound: F64
    """Largest error allowed, of the value as rounded to the type in which it is added."""
    roundoff: float
    """Unit roundoff of the type of the sum."""


def fp4_values(codes: U8, scales: Scales) -> F64:
    """Return the values of fp4 codes, two a byte along the last axis, times their block scale."""
    nibbles = np.stack([codes & 15, codes >> 4], axis=-1).reshape(*codes.shape[:-1], -1)
    plain = nibbles.astype(np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float64)
    factors = scales.view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    values: F64 = plain * np.repeat(factors, SCALE_BLOCK, axis=-1)
    return values


def values_of(kind: Kind, raw: U8, scales: Scales | None) -> F64:
    """Return what an operand means: its codes times their scales, (..., rows, k)."""
    if kind is Kind.MX_FP4:
        if scales is None:
            raise ValueError("MX operands have scales")
        return fp4_values(raw, scales)
    weight = raw.ndim > 2  # noqa: PLR2004 - a weight has experts, rows, k
    dtype = np.int8 if kind is Kind.INT4_ROW and weight else _DTYPES[kind]
    plain: F64 = raw.view(dtype).astype(np.float64)
    if scales is None:
        return plain
    factors = scales.astype(np.float64)
    if kind is Kind.FP8_BLOCK:
        factors = np.repeat(factors, WIDE_BLOCK, axis=-1)
        if weight:
            factors = np.repeat(factors, WIDE_BLOCK, axis=-2)[..., : raw.shape[-2], :]
    return plain * factors


_DTYPES = {
    Kind.INT4_ROW: ml_dtypes.float8_e4m3fn,
    Kind.FP8_ROW: ml_dtypes.float8_e4m3fn,
    Kind.FP8_TENSOR: ml_dtypes.float8_e4m3fn,
    Kind.FP8_BLOCK: ml_dtypes.float8_e4m3fn,
    Kind.BF16: ml_dtypes.bfloat16,
    Kind.F16: np.float16,
}


def expect(
    problem: Problem, *, routed_weight: bool, activation: str = "silu", out: str = "bf16"
) -> Expected:
    """Return what stage 1 or 2 gives for a problem."""
    batch, routing = problem.batch, problem.routing
    operands = (
        values_of(problem.kind, problem.activations, problem.activation_scales),
        values_of(problem.kind, problem.weights, problem.weight_scales),
    )
    value = np.empty((batch.tokens, batch.topk, batch.gemm.n))
    bound = np.empty_like(value)
    for tokens, slots, part in _products(problem, *operands):
        if routed_weight:
            part = _weighted(*part, routing.weights[tokens, slots])  # noqa: PLW2901
        if batch.stage == 1:
            part = _gated(*part, activation)  # noqa: PLW2901
        value[tokens, slots], bound[tokens, slots] = part
    return _rounded(value, bound, out, ROUNDOFF[out])


def expect_parts(problem: Problem, *, routed_weight: bool) -> Expected:
    """Return what each part of a split K adds to stage 1's sums of gate and up."""
    batch, routing = problem.batch, problem.routing
    rows = values_of(problem.kind, problem.activations, problem.activation_scales)
    weights = values_of(problem.kind, problem.weights, problem.weight_scales)
    shape = (batch.tokens, batch.topk, batch.parts, batch.columns)
    value, bound = np.empty(shape), np.empty(shape)
    width = batch.gemm.k // batch.parts
    for part in range(batch.parts):
        span = slice(part * width, (part + 1) * width)
        for tokens, slots, found in _products(problem, rows[:, span], weights[..., span]):
            if routed_weight:
                found = _weighted(*found, routing.weights[tokens, slots])  # noqa: PLW2901
            value[tokens, slots, part], bound[tokens, slots, part] = found
    flat = (batch.tokens * batch.topk, *shape[2:])
    return _rounded(value.reshape(flat), bound.reshape(flat), "f16", U_F32)


def _products(
    problem: Problem, rows: F64, weights: F64
) -> Iterator[tuple[Index, Index, tuple[F64, F64]]]:
    """Yield the rows of each expert: their tokens and slots, their sums and the bound of these."""
    batch = problem.batch
    for expert in range(batch.experts):
        tokens, slots = np.nonzero(problem.routing.topk_ids == expert)
        if tokens.size:
            source = tokens if batch.stage == 1 else tokens * batch.topk + slots
            yield tokens, slots, _contract(rows[source], weights[expert])


def _rounded(value: F64, bound: F64, kind: str, roundoff: float) -> Expected:
    """Round to ``kind``; sums of the rounded values are rounded with ``roundoff``."""
    bound += ROUNDOFF[kind] * (np.abs(value) + bound) + SMALLEST[kind]
    return Expected(value=value, bound=bound, roundoff=roundoff)


def _contract(rows: F64, weights: F64) -> tuple[F64, F64]:
    depth = rows.shape[1] + _SCALING
    growth = depth * U_F32 / (1 - depth * U_F32)
    return rows @ weights.T, growth * (np.abs(rows) @ np.abs(weights).T)


def _gated(total: F64, error: F64, activation: str) -> tuple[F64, F64]:
    """activation(gate) * up, and its bound before rounding to the output type."""
    n = total.shape[1] // 2
    gate, up = total[:, :n], total[:, n:]
    gate_error, up_error = error[:, :n], error[:, n:]
    if activation == "swiglu":
        up = np.clip(up, -_SWIGLU_LIMIT, _SWIGLU_LIMIT) + 1
        up_error = up_error + U_F32 * (np.abs(up) + up_error)
    active, active_error = _ACTIVATIONS[activation](gate, gate_error)
    product = active * up
    bound = np.abs(active) * up_error + np.abs(up) * active_error + active_error * up_error
    return product, bound + U_F32 * (np.abs(product) + bound)


def _silu(gate: F64, error: F64) -> tuple[F64, F64]:
    with np.errstate(over="ignore"):
        value = gate / (1 + np.exp(-gate))
    return value, _SILU_SLOPE * error + _SILU_EVALUATION * (np.abs(value) + error)


def _gelu(gate: F64, error: F64) -> tuple[F64, F64]:
    erf = np.vectorize(math.erf, otypes=[np.float64])(gate / math.sqrt(2))
    bound = _GELU_SLOPE * error + _GELU_EVALUATION * (1 + np.abs(gate))
    return gate * (1 + erf) / 2, bound


def _swiglu(gate: F64, error: F64) -> tuple[F64, F64]:
    gate = np.minimum(gate, _SWIGLU_LIMIT)
    scaled = _SWIGLU_ALPHA * gate
    with np.errstate(over="ignore"):
        value = gate / (1 + np.exp(-scaled))
    evaluation = _SILU_EVALUATION + U_F32 * np.abs(scaled)
    return value, _SILU_SLOPE * error + evaluation * (np.abs(value) + error)


_ACTIVATIONS = {"silu": _silu, "gelu": _gelu, "swiglu": _swiglu}


def _weighted(total: F64, error: F64, factors: npt.NDArray[np.float32]) -> tuple[F64, F64]:
    weights = factors.astype(np.float64)[:, None]
    value = total * weights
    bound = error * np.abs(weights)
    return value, bound + U_F32 * (np.abs(value) + bound)


def sum_bound(expected: Expected) -> tuple[F64, F64]:
    """Return the sum over slots or parts, (rows, columns), and the bound of its rounded sum."""
    count = expected.value.shape[1]
    magnitude = np.sum(np.abs(expected.value) + expected.bound, axis=1)
    roundoff = expected.roundoff
    additions = count * roundoff * (1 + roundoff) ** count * magnitude
    return expected.value.sum(axis=1), expected.bound.sum(axis=1) + additions
