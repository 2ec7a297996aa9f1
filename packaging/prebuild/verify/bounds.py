"""How far float32 may be from exact arithmetic, step by step: pairs of values and bounds.

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
  1 / (1 + exp(-x)) may be flushed where it is below 2 * f (it is for x below -87.3), and so may the
  product.
- gelu(x) = x * (1 + erf(x / sqrt 2)) / 2: erf is off by at most 16 * u, and so the result by at
  most 16 * u * (1 + |x|), as 1 + erf may cancel.  Below -6.5 erf is nearer to -1 than to any other
  float32, and the result is zero or what is true.
- swiglu(g, y) = g / (1 + exp(-1.702 * g)) * (y + 1) with g at most 7 and y within 7 of 0: a clamp
  makes no error larger; 1.702 * g is off by u relative, which changes the quotient by at most
  1.702 * |g| * u relative; y + 1 is off by u.  What a clamp makes of NaN is not known.
- A product of two rounded factors: the first-order terms, their product, u relative, and f.
- Rounding to the output: v relative to the value before it (bfloat16 2**-8, half 2**-11), and the
  smallest normal number, 2**-126 or 2**-14, where denormals may be flushed.

What is not finite: NaN and infinity go through every step as IEEE 754 has it, so silu and gelu of
minus infinity are NaN (infinity times zero).  What is certainly beyond a type's largest number is
infinite from there on.  Where it depends on the order of additions or on a last bit whether a value
is finite, the bound is infinite and everything is allowed; the problems are made so that this
hardly occurs (a test counts it).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Near = tuple[F64, F64]
"""Values, and the largest error of each."""
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
_SWIGLU_ALPHA, _SWIGLU_LIMIT = 1.702, 7.0
"""Those of the OAI swiglu in CK's XDL epilogue (rocm-libraries pull request 8944)."""


def contract(rows: F64, weights: F64) -> Near:
    """Return (rows, k) times (columns, k): sums of products in any order."""
    depth = rows.shape[1] + _SCALING
    growth = depth * U_F32 / (1 - depth * U_F32)
    total, size = rows @ weights.T, np.abs(rows) @ np.abs(weights).T
    error = growth * size + np.where(size > 0, 2 * depth * FLUSH, 0)
    return _limited(total, error, size, LARGEST_F32)


def _limited(value: F64, error: F64, size: F64, largest: float) -> Near:
    """Return value and bound with what may be beyond ``largest`` settled; ``size``: partial sums.

    A sum whose terms all have one sign is beyond it for certain, in any order.
    """
    beyond = (np.abs(value) >= size) & (size - error > largest)
    certain = ~np.isfinite(value) | beyond
    either = ~certain & ~(size + error <= largest)
    limited = np.where(beyond, np.copysign(np.inf, value), value)
    return limited, np.where(certain, 0.0, np.where(either, np.inf, error))


def product(left: F64, left_error: F64, right: F64, right_error: F64) -> Near:
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


def gated(total: F64, error: F64, activation: str) -> Near:
    """activation(gate) * up, and its bound before rounding to the output type."""
    n = total.shape[1] // 2
    gate, up = (total[:, :n], error[:, :n]), (total[:, n:], error[:, n:])
    if activation == "swiglu":
        gate, up = _unknown_nan(*gate), _unknown_nan(*_clamped(*up))
    return product(*active(activation, *gate), *up)


def _clamped(up: F64, error: F64) -> Near:
    """Swiglu's other factor: up within its limits, plus one."""
    value = np.clip(up, -_SWIGLU_LIMIT, _SWIGLU_LIMIT) + 1
    return value, np.minimum(error, 2 * _SWIGLU_LIMIT) * (1 + U_F32) + U_F32 * np.abs(value)


def _unknown_nan(value: F64, error: F64) -> Near:
    """Leave open what becomes of NaN."""
    nan = np.isnan(value)
    return np.where(nan, 0.0, value), np.where(nan, np.inf, error)


def active(activation: str, gate: F64, error: F64) -> Near:
    """Return the activation of a gate with an error."""
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
    small = _sigmoid(gate - error) < 2 * FLUSH
    flushed = np.where(small, np.minimum(_sigmoid(gate + error), FLUSH), 0)
    found: F64 = _EVALUATION * size + (np.abs(gate) + error) * flushed
    return found


def _gelu(gate: F64) -> F64:
    # erfc does not cancel where erf is near to -1.
    found: F64 = gate * np.vectorize(math.erfc, otypes=[np.float64])(-gate / math.sqrt(2)) / 2
    return found


def _gelu_evaluation(gate: F64, error: F64, size: F64) -> F64:
    return np.where(gate + error < _ERF_IS_ONE, size, _EVALUATION * (1 + np.abs(gate)))


def _swiglu(gate: F64) -> F64:
    limited = np.minimum(gate, _SWIGLU_LIMIT)
    return limited * _sigmoid(_SWIGLU_ALPHA * limited)


def _swiglu_evaluation(gate: F64, error: F64, size: F64) -> F64:
    scaled = _SWIGLU_ALPHA * np.minimum(gate, _SWIGLU_LIMIT)
    return _silu_evaluation(scaled, _SWIGLU_ALPHA * error, size) + U_F32 * np.abs(scaled) * size


_ACTIVATIONS: dict[str, tuple[Function, float, Evaluation]] = {
    "silu": (_silu, _SILU_LOWEST, _silu_evaluation),
    "gelu": (_gelu, _GELU_LOWEST, _gelu_evaluation),
    "swiglu": (_swiglu, _SILU_LOWEST / _SWIGLU_ALPHA, _swiglu_evaluation),
}
"""Name -> the function, where it is least, and how far float32 may be from it."""


def rounded(value: F64, error: F64, out: str) -> Near:
    """What rounding to the output type makes of it."""
    bound = error + ROUNDOFF[out] * (np.abs(value) + error) + SMALLEST[out]
    largest = OVERFLOW[out]
    beyond = np.abs(value) - error > largest
    limited = np.where(beyond, np.copysign(np.inf, value), value)
    certain = beyond | ~np.isfinite(value) & ~np.isinf(error)
    either = np.isinf(error) | ~beyond & (np.abs(value) + error > largest)
    return limited, np.where(certain, 0.0, np.where(either, np.inf, bound))
