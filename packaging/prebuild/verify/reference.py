"""The operation by its definition in float64, and how far a kernel may be from it.

The bound of each step is derived in :mod:`prebuild.verify.bounds`.  Beyond those:

- Stage 2 adds topk rounded contributions in the output type in some order: each addition is off by
  at most the type's unit roundoff times a partial sum, which is at most the sum of the absolute
  contributions.
- A split K adds the parts in float32, in some order: the same bound with float32's roundoff.
  Each part is a sum of its own, rounded to half before it is added.

A routed weight multiplies gate and up before the activation (stage 1), or the result (stage 2).
Where K is split, stage 1 gives gate and up themselves: the caller activates their sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt

from prebuild.verify import bounds
from prebuild.verify.bounds import F64, LARGEST_F32, OVERFLOW, ROUNDOFF, U_F32, Near
from prebuild.verify.problems import SCALE_BLOCK, U8, WIDE_BLOCK, Kind, Problem, Scales

Index = npt.NDArray[np.intp]


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
    overflow: float
    """Beyond it the sum is infinite."""


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
    batch = problem.batch
    value = np.empty((batch.tokens, batch.topk, batch.gemm.n))
    bound = np.empty_like(value)
    with np.errstate(all="ignore"):
        span = slice(0, batch.gemm.k)
        for tokens, slots, sums in _sums(problem, span, routed_weight=routed_weight):
            part = bounds.gated(*sums, activation) if batch.stage == 1 else sums
            value[tokens, slots], bound[tokens, slots] = part
        value, bound = bounds.rounded(value, bound, out)
    return Expected(value=value, bound=bound, roundoff=ROUNDOFF[out], overflow=OVERFLOW[out])


def expect_parts(problem: Problem, *, routed_weight: bool) -> Expected:
    """Return what each part of a split K adds to stage 1's sums of gate and up."""
    batch = problem.batch
    shape = (batch.tokens, batch.topk, batch.parts, batch.columns)
    value, bound = np.empty(shape), np.empty(shape)
    width = batch.gemm.k // batch.parts
    with np.errstate(all="ignore"):
        for part in range(batch.parts):
            span = slice(part * width, (part + 1) * width)
            for tokens, slots, sums in _sums(problem, span, routed_weight=routed_weight):
                value[tokens, slots, part], bound[tokens, slots, part] = sums
        flat = (batch.tokens * batch.topk, *shape[2:])
        value, bound = bounds.rounded(value.reshape(flat), bound.reshape(flat), "f16")
    return Expected(value=value, bound=bound, roundoff=U_F32, overflow=LARGEST_F32)


def _sums(
    problem: Problem, span: slice, *, routed_weight: bool
) -> Iterator[tuple[Index, Index, Near]]:
    """Yield the rows of each expert: their tokens and slots, and their sums over a span of K."""
    batch, routing = problem.batch, problem.routing
    rows = values_of(problem.kind, problem.activations, problem.activation_scales)[:, span]
    for expert in np.unique(routing.topk_ids).tolist():
        tokens, slots = np.nonzero(routing.topk_ids == expert)
        source = tokens if batch.stage == 1 else tokens * batch.topk + slots
        sums = bounds.contract(rows[source], _weights_of(problem, expert)[:, span])
        if routed_weight:
            factors = routing.weights[tokens, slots].astype(np.float64)[:, None]
            sums = bounds.product(*sums, factors, np.zeros_like(factors))
        yield tokens, slots, sums


def _weights_of(problem: Problem, expert: int) -> F64:
    """Return the weights of one expert, (rows, k); all of them at once may not fit into memory."""
    one = slice(expert, expert + 1)
    scales = None if problem.weight_scales is None else problem.weight_scales[one]
    found: F64 = values_of(problem.kind, problem.weights[one], scales)[0]
    return found


def sum_bound(expected: Expected) -> Near:
    """Return the sum over slots or parts, (rows, columns), and the bound of its rounded sum."""
    count = expected.value.shape[1]
    roundoff = expected.roundoff
    with np.errstate(all="ignore"):
        magnitude = np.sum(np.abs(expected.value) + expected.bound, axis=1)
        additions = count * roundoff * (1 + roundoff) ** count * magnitude
        total, bound = expected.value.sum(axis=1), expected.bound.sum(axis=1) + additions
    either = np.isinf(expected.bound).any(axis=1) | (
        np.isfinite(total) & (magnitude + additions > expected.overflow)
    )
    certain = ~np.isfinite(total)
    return total, np.where(either, np.inf, np.where(certain, 0.0, bound))
