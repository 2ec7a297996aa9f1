"""The operation by its definition in float64, and how far a kernel may be from it.

Bounds (u = 2**-24 is the unit roundoff of float32, f = 2**-126 its smallest normal number, v the
unit roundoff of the output type):

- A sum of K products in float32, in whatever order and with whatever association, each product
  exact: |error| <= g * S with S the sum of the absolute products and g = n*u / (1 - n*u)
  (Higham, Accuracy and Stability, section 4.2), n = K + 4: scales that are no powers of two add up
  to four roundings.  A denormal product or partial sum may be flushed, which adds f each: 2*n*f.
- An activation moves by what its exact function does between x - e and x + e, for an argument with
  error e: at the ends of the interval, or at the function's minimum in it.
- silu(x) = x * (1 / (1 + exp(-x))), as CK has it.  Its evaluation in float32 (exp within 4 ulp with
  its argument reduction, one addition, a division and a product) is off by at most 16 * u relative;
  1 / (1 + exp(-x)) may be flushed, which it is for x below -87.3, and so may the product.
- gelu(x) = x * (1 + erf(x / sqrt 2)) / 2: erf is off by at most 16 * u, and so the result by
  at most 16 * u * (1 + |x|), as 1 + erf may cancel.  Below -6.5 erf is nearer to -1 than to any
  other float32, and the result is zero or what is true.
- A product of two rounded factors: the first-order terms, their product, u relative, and f.
- Rounding to the output: v relative to the value before it (bfloat16 2**-8, half 2**-11), and the
  smallest normal number, 2**-126 or 2**-14, where denormals may be flushed.
- Stage 2 adds topk rounded contributions in the output type in some order: each addition is off by
  at most v times a partial sum, which is at most the sum of the absolute contributions.

What is not finite: NaN and infinity go through every step as IEEE 754 has it, so silu and gelu of
minus infinity are NaN (infinity times zero).  What is certainly beyond a type's largest number is
infinite from there on.  Where it depends on the order of additions or on a last bit whether a value
is finite, the bound is infinite and everything is allowed; the problems are made so that this
hardly occurs (a test counts it).

A routed weight multiplies gate and up before the activation (stage 1), or the result (stage 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt

from prebuild.verify.problems import SCALE_BLOCK, U8, WIDE_BLOCK, Kind, Problem, Scales

F64 = npt.NDArray[np.float64]
Function = Callable[[F64], F64]
Evaluation = Callable[[F64, F64, F64], F64]
"""Argument, its error, largest value -> the error of float32's evaluation."""
U_F32 = 2.0**-24
ROUNDOFF = {"bf16": 2.0**-8, "f16": 2.0**-11}
SMALLEST = {"bf16": 2.0**-126, "f16": 2.0**-14}
OVERFLOW = {"bf16": (1 - 2.0**-9) * 2.0**128, "f16": 65520.0}
"""What is rounded to infinity: half a unit beyond the largest number."""
LARGEST_F32 = (2 - 2.0**-23) * 2.0**127
FLUSH = 2.0**-126
_SCALING = 4
"""Further float32 roundings of a term or a sum: two scales, their product, the sum of blocks."""
_EVALUATION = 16 * U_F32
_SILU_LOWEST = -1.2784645427610738
_GELU_LOWEST = -0.7517915246935645
"""Where the functions have their minimum."""
_ERF_IS_ONE = -6.5


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a kernel has to give, (tokens, topk, n), before the sum over slots in stage 2."""

    value: F64
    bound: F64
    """Largest error allowed, of the value as rounded to the output type."""
    roundoff: float
    """Unit roundoff of the output type."""
    overflow: float
    """Beyond it the output type is infinite."""


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
    rows = values_of(problem.kind, problem.activations, problem.activation_scales)
    value = np.empty((batch.tokens, batch.topk, batch.gemm.n))
    bound = np.empty_like(value)
    with np.errstate(all="ignore"):
        for expert in np.unique(routing.topk_ids).tolist():
            tokens, slots = np.nonzero(routing.topk_ids == expert)
            source = tokens if batch.stage == 1 else tokens * batch.topk + slots
            part = _contract(rows[source], _weights_of(problem, expert))
            if routed_weight:
                factors = routing.weights[tokens, slots].astype(np.float64)[:, None]
                part = _product(*part, factors, np.zeros_like(factors))
            if batch.stage == 1:
                part = _gated(*part, activation)
            value[tokens, slots], bound[tokens, slots] = part
        value, bound = _rounded(value, bound, out)
    return Expected(value=value, bound=bound, roundoff=ROUNDOFF[out], overflow=OVERFLOW[out])


def _weights_of(problem: Problem, expert: int) -> F64:
    """Return the weights of one expert, (rows, k); all of them at once may not fit into memory."""
    one = slice(expert, expert + 1)
    scales = None if problem.weight_scales is None else problem.weight_scales[one]
    found: F64 = values_of(problem.kind, problem.weights[one], scales)[0]
    return found


def _contract(rows: F64, weights: F64) -> tuple[F64, F64]:
    depth = rows.shape[1] + _SCALING
    growth = depth * U_F32 / (1 - depth * U_F32)
    total, size = rows @ weights.T, np.abs(rows) @ np.abs(weights).T
    error = growth * size + np.where(size > 0, 2 * depth * FLUSH, 0)
    return _limited(total, error, size, LARGEST_F32)


def _limited(value: F64, error: F64, size: F64, largest: float) -> tuple[F64, F64]:
    """Return value and bound with what may be beyond ``largest`` settled; ``size``: partial sums.

    A sum whose terms all have one sign is beyond it for certain, in any order.
    """
    beyond = (np.abs(value) >= size) & (size - error > largest)
    certain = ~np.isfinite(value) | beyond
    either = ~certain & ~(size + error <= largest)
    limited = np.where(beyond, np.copysign(np.inf, value), value)
    return limited, np.where(certain, 0.0, np.where(either, np.inf, error))


def _product(left: F64, left_error: F64, right: F64, right_error: F64) -> tuple[F64, F64]:
    """The product of two factors with their errors, and its bound."""
    value = left * right
    error = np.abs(left) * right_error + np.abs(right) * left_error + left_error * right_error
    error += U_F32 * (np.abs(value) + error) + FLUSH
    limited, bound = _limited(value, error, np.abs(value), LARGEST_F32)
    # Infinity times what may be zero, or may have either sign.
    either = np.isinf(left) & (np.abs(right) <= right_error) & (right_error > 0)
    either |= np.isinf(right) & (np.abs(left) <= left_error) & (left_error > 0)
    either |= np.isinf(left_error) | np.isinf(right_error)
    either &= ~(np.isnan(left) | np.isnan(right))
    return limited, np.where(either, np.inf, bound)


def _gated(total: F64, error: F64, activation: str) -> tuple[F64, F64]:
    """activation(gate) * up, and its bound before rounding to the output type."""
    n = total.shape[1] // 2
    active = _active(activation, total[:, :n], error[:, :n])
    return _product(*active, total[:, n:], error[:, n:])


def _active(activation: str, gate: F64, error: F64) -> tuple[F64, F64]:
    function, lowest, evaluation = _ACTIVATIONS[activation]
    value = function(gate)
    moved = np.fmax(np.abs(function(gate - error) - value), np.abs(function(gate + error) - value))
    least = np.abs(function(np.array(lowest)) - value)
    moved = np.where(np.abs(gate - lowest) <= error, np.fmax(moved, least), moved)
    bound = moved + evaluation(gate, error, np.abs(value) + moved) + FLUSH
    bound = np.where(np.isfinite(gate), bound, 0.0)
    return value, np.where(np.isinf(error), np.inf, bound)


def _silu(gate: F64) -> F64:
    return gate * _sigmoid(gate)


def _sigmoid(gate: F64) -> F64:
    found: F64 = 1 / (1 + np.exp(-gate))
    return found


def _silu_evaluation(gate: F64, error: F64, size: F64) -> F64:
    flushed = np.minimum(_sigmoid(gate + error), FLUSH)
    found: F64 = _EVALUATION * size + (np.abs(gate) + error) * flushed
    return found


def _gelu(gate: F64) -> F64:
    # erfc does not cancel where erf is near to -1.
    found: F64 = gate * np.vectorize(math.erfc, otypes=[np.float64])(-gate / math.sqrt(2)) / 2
    return found


def _gelu_evaluation(gate: F64, error: F64, size: F64) -> F64:
    return np.where(gate + error < _ERF_IS_ONE, size, _EVALUATION * (1 + np.abs(gate)))


_ACTIVATIONS: dict[str, tuple[Function, float, Evaluation]] = {
    "silu": (_silu, _SILU_LOWEST, _silu_evaluation),
    "gelu": (_gelu, _GELU_LOWEST, _gelu_evaluation),
}
"""Name -> the function, where it is least, and how far float32 may be from it."""


def _rounded(value: F64, error: F64, out: str) -> tuple[F64, F64]:
    """What rounding to the output type makes of it."""
    bound = error + ROUNDOFF[out] * (np.abs(value) + error) + SMALLEST[out]
    largest = OVERFLOW[out]
    beyond = np.abs(value) - error > largest
    limited = np.where(beyond, np.copysign(np.inf, value), value)
    certain = beyond | ~np.isfinite(value) & ~np.isinf(error)
    either = np.isinf(error) | ~beyond & (np.abs(value) + error > largest)
    return limited, np.where(certain, 0.0, np.where(either, np.inf, bound))


def sum_bound(expected: Expected) -> tuple[F64, F64]:
    """Return stage 2's output, (tokens, n), and the bound of its rounded sum."""
    topk = expected.value.shape[1]
    roundoff = expected.roundoff
    with np.errstate(all="ignore"):
        magnitude = np.sum(np.abs(expected.value) + expected.bound, axis=1)
        additions = topk * roundoff * (1 + roundoff) ** topk * magnitude
        total, bound = expected.value.sum(axis=1), expected.bound.sum(axis=1) + additions
    either = np.isinf(expected.bound).any(axis=1) | (
        np.isfinite(total) & (magnitude + additions > expected.overflow)
    )
    certain = ~np.isfinite(total)
    return total, np.where(either, np.inf, np.where(certain, 0.0, bound))
