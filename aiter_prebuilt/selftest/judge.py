"""What a launch left in memory against what it had to leave."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiter_prebuilt.selftest.formats import NEGATIVE_ZERO
from aiter_prebuilt.selftest.problems import Problem
from aiter_prebuilt.selftest.reference import Expected
from aiter_prebuilt.values import value_class

GUARD_BYTES = 4096
GUARD = bytes((7 * at + 0x5A) & 0xFF for at in range(GUARD_BYTES))
"""What lies behind every buffer and has to be there after a launch."""


@value_class(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    code: str
    """``value``, ``nan``, ``left`` (never written), ``guard``, ``input``, ``unsteady``; ``early``
    (a capture executed), ``hip``, ``call``, ``crash``, ``hang`` where a launch failed."""
    message: str


@value_class(frozen=True, kw_only=True)
class Judgement:
    """One launch, judged."""

    elements: int
    max_error: float
    """Largest error over its bound; infinite for what is no number."""
    findings: tuple[Finding, ...]


def before(problem: Problem) -> bytes:
    """Return what the output holds before a launch.

    Stage 1 writes every element: NaN; where K is split the callee has to clear it first.  Stage 2
    adds to it: negative zero, which changes no sum and stays where nothing is added.
    """
    return _mark(problem) * math.prod(problem.out_shape)


def _mark(problem: Problem) -> bytes:
    return problem.out.mark if problem.stage == 1 else NEGATIVE_ZERO


def judge(problem: Problem, expected: Expected, out: bytes) -> Judgement:
    """Compare an output with the reference."""
    form, mark = problem.out, _mark(problem)
    found = form.decode(out)
    kinds: dict[str, list[int]] = {}
    worst = 0.0
    for at, (value, want, bound) in enumerate(
        zip(found, expected.values, expected.bounds, strict=True)
    ):
        share = _share(value, want, bound)
        untouched = out[form.width * at : form.width * (at + 1)] == mark
        if share <= 1 and not (untouched and problem.stage == 1):
            worst = max(worst, share)
        elif untouched:
            kinds.setdefault("left", []).append(at)
        else:
            kinds.setdefault("nan" if math.isnan(value) else "value", []).append(at)
    if kinds:
        worst = math.inf if set(kinds) != {"value"} else _worst(found, expected, kinds["value"])
    findings = tuple(
        Finding(code=code, message=_describe(problem, code, places, found, expected))
        for code, places in sorted(kinds.items())
    )
    return Judgement(elements=len(found), max_error=worst, findings=findings)


def _worst(found: list[float], expected: Expected, places: list[int]) -> float:
    return max(_share(found[at], expected.values[at], expected.bounds[at]) for at in places)


def _share(value: float, want: float, bound: float) -> float:
    """Return the error as a share of its bound; 0 where there is none or everything is allowed."""
    if value == want or math.isinf(bound) or (math.isnan(value) and math.isnan(want)):
        return 0.0
    error = abs(value - want)
    return error / bound if bound and not math.isnan(error) else math.inf


_WORDS = {
    "left": "were never written",
    "nan": "are NaN",
    "value": "are outside of their bound",
}


def _describe(
    problem: Problem, code: str, places: list[int], found: list[float], expected: Expected
) -> str:
    at = places[0]
    return (
        f"{len(places)} of {len(found)} elements {_WORDS[code]}; the first is"
        f" {_index(problem.out_shape, at)}: {found[at]!r}, expected {expected.values[at]:.6g}"
        f" within {expected.bounds[at]:.3g}"
    )


def _index(shape: tuple[int, ...], at: int) -> tuple[int, ...]:
    index: list[int] = []
    for length in reversed(shape):
        index.insert(0, at % length)
        at //= length
    return tuple(index)


def judge_surroundings(
    sent: Mapping[str, bytes], found: Mapping[str, bytes], out: str
) -> list[Finding]:
    """Compare every buffer with its guard behind it to what was sent; ``out`` may change.

    Both map a buffer's name to all of its bytes, :data:`GUARD` included.
    """
    findings = []
    for name, data in found.items():
        end = len(data) - GUARD_BYTES
        if data[end:] != GUARD:
            at = next(i for i in range(GUARD_BYTES) if data[end + i] != GUARD[i])
            findings.append(
                Finding(code="guard", message=f"{at} bytes behind the end of {name} were written")
            )
        if name != out and data[:end] != sent[name][:end]:
            at = next(i for i in range(end) if data[i] != sent[name][i])
            findings.append(Finding(code="input", message=f"byte {at} of input {name} changed"))
    return findings
