"""Steps of a kernel by their definition in float64, and how far float32 may be from each.

docs/numerics.md has the bounds (u = 2**-24 for float32, f = 2**-126 its smallest normal number, v
for the output).  This is a second writing of them beside the build side's: a test compares the two.

NaN and infinity go through as IEEE 754 has it, and what is certainly beyond a type's largest number
is infinite.  A bound is infinite where an order of additions or a last bit decides that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from aiter_prebuilt.selftest.formats import OutFormat
from aiter_prebuilt.values import value_class

U = 2.0**-24
_LARGEST = (2 - 2.0**-23) * 2.0**127
_FLUSH = 2.0**-126
_SCALING = 4
"""Further float32 roundings of a term or a sum: two scales, their product, the sum of blocks."""
_EVALUATION = 16 * U
_ERF_IS_ONE = -6.5
"""Below it erf is -1 in float32."""
_SWIGLU_ALPHA, _SWIGLU_LIMIT = 1.702, 7.0
_EXP_LIMIT = 700.0
"""Beyond it ``math.exp`` raises; the sigmoid is 0 or 1 in float64 long before."""

Near = tuple[float, float]
"""A value and the largest error that it may have."""


def contracted(value: float, size: float, depth: int) -> Near:
    """A sum of ``depth`` products whose absolute values sum up to ``size``, in any order."""
    count = depth + _SCALING
    growth = count * U / (1 - count * U)
    error = growth * size + (2 * count * _FLUSH if size else 0.0)
    return _limited(value, error, size, _LARGEST)


def _limited(value: float, error: float, size: float, largest: float) -> Near:
    """Settle what may be beyond ``largest``; ``size``: of the largest partial sum.

    A sum whose terms all have one sign is beyond it for certain, in any order.
    """
    if not math.isfinite(value):
        return value, 0.0
    if abs(value) >= size and size - error > largest:
        return math.copysign(math.inf, value), 0.0
    return value, error if size + error <= largest else math.inf


def product(left: Near, right: Near) -> Near:
    """The product of two rounded factors: first-order terms, their product, one rounding."""
    value = left[0] * right[0]
    if math.isnan(left[0]) or math.isnan(right[0]):
        return math.nan, 0.0
    if math.inf in (left[1], right[1]) or _open(left, right) or _open(right, left):
        return value, math.inf
    error = abs(left[0]) * right[1] + abs(right[0]) * left[1] + left[1] * right[1]
    return _limited(value, error + U * (abs(value) + error) + _FLUSH, abs(value), _LARGEST)


def _open(one: Near, other: Near) -> bool:
    """Whether infinity meets what may be zero, or may have either sign."""
    return math.isinf(one[0]) and abs(other[0]) <= other[1] and other[1] > 0


@value_class(frozen=True, kw_only=True)
class Activation:
    """An activation function."""

    function: Callable[[float], float]
    lowest: float
    """Where it is least."""
    evaluation: Callable[[float, float, float], float]
    """Argument, its error, largest value -> the error of float32's evaluation."""

    def near(self, gate: float, error: float) -> Near:
        """Return the activation of a gate with an error."""
        value = self.function(gate)
        if not math.isfinite(gate):
            return value, 0.0
        if math.isinf(error):
            return value, math.inf
        ends = [gate - error, gate + error]
        if abs(gate - self.lowest) <= error:
            ends.append(self.lowest)
        moved = max(abs(self.function(end) - value) for end in ends)
        return value, moved + self.evaluation(gate, error, abs(value) + moved) + _FLUSH


def _sigmoid(gate: float) -> float:
    return 1 / (1 + math.exp(-gate)) if gate > -_EXP_LIMIT or math.isnan(gate) else 0.0


def _silu(gate: float) -> float:
    return gate * _sigmoid(gate)


def _silu_evaluation(gate: float, error: float, size: float) -> float:
    small = _sigmoid(gate - error) < 2 * _FLUSH
    flushed = min(_sigmoid(gate + error), _FLUSH) if small else 0.0
    return _EVALUATION * size + (abs(gate) + error) * flushed


def _gelu(gate: float) -> float:
    return gate * math.erfc(-gate / math.sqrt(2)) / 2  # erfc does not cancel where erf is near -1


def _gelu_evaluation(gate: float, error: float, size: float) -> float:
    return size if gate + error < _ERF_IS_ONE else _EVALUATION * (1 + abs(gate))


def _swiglu(gate: float) -> float:
    limited = min(gate, _SWIGLU_LIMIT)
    return limited * _sigmoid(_SWIGLU_ALPHA * limited)


def _swiglu_evaluation(gate: float, error: float, size: float) -> float:
    scaled = _SWIGLU_ALPHA * min(gate, _SWIGLU_LIMIT)
    return _silu_evaluation(scaled, _SWIGLU_ALPHA * error, size) + U * abs(scaled) * size


_SILU_LOWEST = -1.2784645427610738
ACTIVATIONS = {
    "silu": Activation(function=_silu, lowest=_SILU_LOWEST, evaluation=_silu_evaluation),
    "gelu": Activation(function=_gelu, lowest=-0.7517915246935645, evaluation=_gelu_evaluation),
    "swiglu": Activation(
        function=_swiglu, lowest=_SILU_LOWEST / _SWIGLU_ALPHA, evaluation=_swiglu_evaluation
    ),
}


def gated(activation: str, gate: Near, up: Near) -> Near:
    """activation(gate) * up."""
    if activation == "swiglu":
        gate, up = _unknown_nan(gate), _unknown_nan(_clamped(up))
    return product(ACTIVATIONS[activation].near(*gate), up)


def _clamped(up: Near) -> Near:
    """Swiglu's other factor: up within its limits, plus one."""
    if math.isnan(up[0]):
        return up
    value = max(-_SWIGLU_LIMIT, min(up[0], _SWIGLU_LIMIT)) + 1
    return value, min(up[1], 2 * _SWIGLU_LIMIT) * (1 + U) + U * abs(value)


def _unknown_nan(one: Near) -> Near:
    """Leave open what a clamp makes of NaN."""
    return (0.0, math.inf) if math.isnan(one[0]) else one


def rounded(one: Near, out: OutFormat) -> Near:
    """What rounding to the output makes of it."""
    value, error = one
    if math.isinf(error) or not math.isfinite(value):
        return value, error
    if abs(value) - error > out.overflow:
        return math.copysign(math.inf, value), 0.0
    if abs(value) + error > out.overflow:
        return value, math.inf
    return value, error + out.roundoff * (abs(value) + error) + out.smallest


def added(addends: Sequence[Near], out: OutFormat) -> Near:
    """Additions in the output type in any order."""
    count, roundoff = len(addends), out.roundoff
    total = sum(value for value, _ in addends)
    if any(math.isinf(error) for _, error in addends):
        return total, math.inf
    if not math.isfinite(total):
        return total, 0.0
    magnitude = sum(abs(value) + error for value, error in addends)
    additions = count * roundoff * (1 + roundoff) ** count * magnitude
    if magnitude + additions > out.overflow:
        return total, math.inf
    return total, sum(error for _, error in addends) + additions
