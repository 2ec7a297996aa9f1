"""What a call has to give, by its definition in float64, and how far a kernel may be from it.

The bounds are those of docs/numerics.md (u = 2**-24 for float32, v for the output), and this is a
second writing of them beside the build side's: a test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul

from aiter_prebuilt.selftest.formats import FORMATS, OUT_FORMATS, OutFormat
from aiter_prebuilt.selftest.problems import EXPERTS, TOPK, Operand, Problem
from aiter_prebuilt.values import value_class

U = 2.0**-24
_SCALING = 4
"""Further float32 roundings of a term or a sum: two scales, their product, the sum of blocks."""
_SILU_SLOPE, _GELU_SLOPE = 1.1, 1.13
_SWIGLU_ALPHA, _SWIGLU_LIMIT = 1.702, 7.0
_ADDEND = OUT_FORMATS["f16"]
"""What a part of a split K is rounded to before it is added."""
_EVALUATION = 16 * U

Near = tuple[float, float]
"""A value and the largest error that it may have."""


@value_class(frozen=True, kw_only=True)
class Expected:
    """The output, element by element in the order in which it lies in memory."""

    values: tuple[float, ...]
    bounds: tuple[float, ...]


def _plain_dot(left: Sequence[float], right: Sequence[float]) -> float:
    total: float = sum(map(mul, left, right))
    return total


# CPython 3.12 has it in C, twice as fast; both are far more exact than the bounds.
_dot: Callable[[Sequence[float], Sequence[float]], float] = getattr(math, "sumprod", _plain_dot)


def expect(problem: Problem) -> Expected:
    """Return what a kernel has to give for a problem."""
    if problem.splits:
        return _expect_sums(problem)
    rows = _contract(problem)
    out = problem.out
    finished: dict[tuple[int, float], list[Near]] = {}
    found: list[Near] = []
    for token in range(problem.tokens):
        slots = []
        for slot in range(TOPK):
            row = rows[token, slot]
            weight = problem.routed_weights[token][slot] if problem.multiplies else 1.0
            key = (id(row), weight)  # rows that repeat a pattern are one object
            if key not in finished:
                finished[key] = _finish(problem, row, weight, out)
            slots.append(finished[key])
        if problem.stage == 1:
            found += [one for row in slots for one in row]
        else:
            found += [_sum(column, out.roundoff) for column in zip(*slots, strict=True)]
    return _expected(found)


def _expected(found: Sequence[Near]) -> Expected:
    values, bounds = zip(*found, strict=True)
    return Expected(values=values, bounds=bounds)


def _expect_sums(problem: Problem) -> Expected:
    """Gate and up where K is split: the caller activates them."""
    width = problem.k // problem.parts
    parts = [
        _contract(problem, range(part * width, (part + 1) * width)) for part in range(problem.parts)
    ]
    known: dict[tuple[int, float], list[Near]] = {}
    found: list[Near] = []
    for place in parts[0]:
        token, slot = place
        weight = problem.routed_weights[token][slot] if problem.multiplies else 1.0
        key = (id(parts[0][place]), weight)  # rows that repeat a pattern are one object
        if key not in known:
            addends = ([_part(problem, one, weight) for one in part[place]] for part in parts)
            known[key] = [
                _sum(column, problem.out.roundoff) for column in zip(*addends, strict=True)
            ]
        found += known[key]
    return _expected(found)


def _part(problem: Problem, one: Near, weight: float) -> Near:
    return _rounded(_product(one, (weight, 0.0)) if problem.multiplies else one, _ADDEND)


def _finish(problem: Problem, row: list[Near], weight: float, out: OutFormat) -> list[Near]:
    """What becomes of a row of sums: routed weight, activation, rounding to the output."""
    if problem.multiplies:
        row = [_product(one, (weight, 0.0)) for one in row]
    if problem.stage == 1:
        activate = _ACTIVATIONS[problem.features.activation]
        other = _shifted if problem.features.activation == "swiglu" else _unchanged
        row = [
            _product(activate(*gate), other(up))
            for gate, up in zip(row[: problem.n], row[problem.n :], strict=True)
        ]
    return [_rounded(one, out) for one in row]


Key = tuple[int, bytes, tuple[float, ...]]
"""An expert, and a row's codes and scales: rows of the same key have the same sums."""


def _contract(problem: Problem, span: range | None = None) -> dict[tuple[int, int], list[Near]]:
    """(token, slot) -> its row times each row of its expert's weights, in a span of K or all."""
    span = span or range(problem.k)
    depth = len(span) + _SCALING
    growth = depth * U / (1 - depth * U)
    each = len(problem.weights.rows) // EXPERTS
    sums: dict[Key, list[Near]] = {}
    found: dict[tuple[int, int], list[Near]] = {}
    sources: dict[int, dict[Key, int]] = {}
    for token, experts in enumerate(problem.routing):
        for slot, expert in enumerate(experts):
            row = token if problem.stage == 1 else token * TOPK + slot
            key = _key(problem.activations, expert, row)
            sources.setdefault(expert, {}).setdefault(key, row)
            found[token, slot] = sums.setdefault(key, [])
    for expert, rows in sources.items():
        given = [
            (sums[key], _with_sizes(problem.activations, row, span)) for key, row in rows.items()
        ]
        for row in range(expert * each, (expert + 1) * each):
            weights, weight_sizes = _with_sizes(problem.weights, row, span)
            for target, (values, sizes) in given:
                target.append((_dot(values, weights), growth * _dot(sizes, weight_sizes)))
    return found


def _key(operand: Operand, expert: int, row: int) -> Key:
    return expert, operand.rows[row], operand.scales.factors[row] if operand.scales else ()


def values_of(operand: Operand, row: int) -> list[float]:
    """Return what a row means: its codes times their scales."""
    plain = FORMATS[operand.format].decode(operand.rows[row])
    if operand.scales is None:
        return plain
    block = operand.scales.block
    return [
        value * factor
        for index, factor in enumerate(operand.scales.factors[row])
        for value in plain[index * block : (index + 1) * block]
    ]


def _with_sizes(operand: Operand, row: int, span: range) -> tuple[list[float], list[float]]:
    values = values_of(operand, row)[span.start : span.stop]
    return values, list(map(abs, values))


def _product(left: Near, right: Near) -> Near:
    """The product of two rounded factors: first-order terms, their product, one rounding."""
    value = left[0] * right[0]
    error = abs(left[0]) * right[1] + abs(right[0]) * left[1] + left[1] * right[1]
    return value, error + U * (abs(value) + error)


def _silu(gate: float, error: float) -> Near:
    value = gate / (1 + math.exp(-gate))
    return value, _SILU_SLOPE * error + _EVALUATION * (abs(value) + error)


def _gelu(gate: float, error: float) -> Near:
    value = gate * (1 + math.erf(gate / math.sqrt(2))) / 2
    return value, _GELU_SLOPE * error + _EVALUATION * (1 + abs(gate))


def _swiglu(gate: float, error: float) -> Near:
    gate = min(gate, _SWIGLU_LIMIT)
    scaled = _SWIGLU_ALPHA * gate
    value = gate / (1 + math.exp(-scaled))
    evaluation = _EVALUATION + U * abs(scaled)
    return value, _SILU_SLOPE * error + evaluation * (abs(value) + error)


def _unchanged(up: Near) -> Near:
    return up


def _shifted(up: Near) -> Near:
    value = max(-_SWIGLU_LIMIT, min(up[0], _SWIGLU_LIMIT)) + 1
    return value, up[1] + U * (abs(value) + up[1])


_ACTIVATIONS = {"silu": _silu, "gelu": _gelu, "swiglu": _swiglu}


def _rounded(one: Near, out: OutFormat) -> Near:
    value, error = one
    return value, error + out.roundoff * (abs(value) + error) + out.smallest


def _sum(addends: Sequence[Near], roundoff: float) -> Near:
    """Additions in the output type in any order."""
    count = len(addends)
    magnitude = sum(abs(value) + error for value, error in addends)
    additions = count * roundoff * (1 + roundoff) ** count * magnitude
    return sum(value for value, _ in addends), sum(error for _, error in addends) + additions
