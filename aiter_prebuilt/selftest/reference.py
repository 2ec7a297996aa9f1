"""What a call has to give: every step of it by :mod:`aiter_prebuilt.selftest.bounds`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul

from aiter_prebuilt.selftest.bounds import Near, added, contracted, gated, product, rounded
from aiter_prebuilt.selftest.formats import FORMATS, OUT_FORMATS, OutFormat
from aiter_prebuilt.selftest.problems import EXPERTS, TOPK, Operand, Problem
from aiter_prebuilt.values import value_class

_ADDEND = OUT_FORMATS["f16"]
"""What a part of a split K is rounded to before it is added."""


@value_class(frozen=True, kw_only=True)
class Expected:
    """The output, element by element in the order in which it lies in memory."""

    values: tuple[float, ...]
    bounds: tuple[float, ...]


def _plain_dot(left: Sequence[float], right: Sequence[float]) -> float:
    total: float = sum(map(mul, left, right))
    return total


# CPython 3.12 has it in C, twice as fast; both are far more exact than the bounds.
_fast_dot: Callable[[Sequence[float], Sequence[float]], float] = getattr(
    math, "sumprod", _plain_dot
)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    total = _fast_dot(left, right)
    # What the fast one makes of infinities is not documented.
    return total if math.isfinite(total) else _plain_dot(left, right)


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
            found += [added(column, out) for column in zip(*slots, strict=True)]
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
            known[key] = [added(column, problem.out) for column in zip(*addends, strict=True)]
        found += known[key]
    return _expected(found)


def _part(problem: Problem, one: Near, weight: float) -> Near:
    return rounded(product(one, (weight, 0.0)) if problem.multiplies else one, _ADDEND)


def _finish(problem: Problem, row: list[Near], weight: float, out: OutFormat) -> list[Near]:
    """What becomes of a row of sums: routed weight, activation, rounding to the output."""
    if problem.multiplies:
        row = [product(one, (weight, 0.0)) for one in row]
    if problem.stage == 1:
        row = [
            gated(problem.features.activation, gate, up)
            for gate, up in zip(row[: problem.n], row[problem.n :], strict=True)
        ]
    return [rounded(one, out) for one in row]


Key = tuple[int, bytes, tuple[float, ...]]
"""An expert, and a row's codes and scales: rows of the same key have the same sums."""


def _contract(problem: Problem, span: range | None = None) -> dict[tuple[int, int], list[Near]]:
    """(token, slot) -> its row times each row of its expert's weights, in a span of K or all."""
    span = span or range(problem.k)
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
                size = _dot(sizes, weight_sizes)
                target.append(contracted(_dot(values, weights), size, len(span)))
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
