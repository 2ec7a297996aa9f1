"""Runs one kernel on its problem, in every way that is asked for, and judges each launch."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from aiter_prebuilt.selftest.calls import OUT, Call, make_call
from aiter_prebuilt.selftest.content import whole
from aiter_prebuilt.selftest.device import Hip, HipError
from aiter_prebuilt.selftest.judge import (
    GUARD,
    GUARD_BYTES,
    Finding,
    before,
    judge,
    judge_surroundings,
)
from aiter_prebuilt.selftest.problems import Case, Problem, make_problem
from aiter_prebuilt.selftest.reference import Expected, expect
from aiter_prebuilt.selftest.report import LaunchResult
from aiter_prebuilt.selftest.tensors import Tensors
from aiter_prebuilt.values import value_class

NULL, OWN, GRAPH, REPLAY = "null stream", "own stream", "graph", "graph replay"
WAYS = (NULL, OWN, GRAPH, REPLAY)


@value_class(frozen=True, kw_only=True)
class Bench:
    """What a kernel is run with."""

    runtime: Hip
    tensors: Tensors
    functions: Any
    """A module with ``ck_moe_stage1`` and ``ck_moe_stage2``: ours, or AITER's stubs."""
    prefix: str = ""
    """Before the name of each way: ``torch, `` and the like."""


class Spent(Exception):  # noqa: N818  no fault of its own: it carries the results
    """HIP failed: what this process says after that means nothing; holds the results so far."""

    def __init__(self, results: list[LaunchResult]) -> None:
        super().__init__("HIP failed")
        self.results = results


@value_class(frozen=True, kw_only=True)
class Prepared:
    """A problem in memory, and what it has to give."""

    problem: Problem
    expected: Expected
    call: Call
    bench: Bench

    def start(self) -> None:
        """Make the call on the current stream."""
        getattr(self.bench.functions, self.call.function)(*self.call.arguments)

    def reset(self) -> None:
        """Fill the output with what has to go."""
        self.bench.runtime.write(self.bench.tensors.pointers[OUT], before(self.problem))

    def output(self) -> bytes:
        """Return what the output holds."""
        return self.bench.runtime.read(self.bench.tensors.pointers[OUT], len(self.call.sent[OUT]))


def run_case(case: Case, bench: Bench, *, seed: int, ways: tuple[str, ...]) -> list[LaunchResult]:
    """Return the result of each way.

    Raises :class:`NoProblemError` where there is no problem for the kernel, :class:`Spent` where
    HIP failed.
    """
    problem = make_problem(case, seed)
    expected = expect(problem)
    results: list[LaunchResult] = []
    try:
        call = make_call(problem, before(problem), bench.tensors)
        prepared = Prepared(problem=problem, expected=expected, call=call, bench=bench)
        first = b""
        for result, out in _each_way(prepared, ways):
            first = first or out
            steady = result.findings or out == first  # what is wrong anyway need not be steady
            results.append(result if steady else _unsteady(result))
        bench.tensors.release()
    except HipError as error:
        way = bench.prefix + ways[min(len(results), len(ways) - 1)]
        results.append(failed(way, Finding(code="hip", message=str(error))))
        raise Spent(results) from error
    return results


def _each_way(prepared: Prepared, ways: tuple[str, ...]) -> Iterator[tuple[LaunchResult, bytes]]:
    """Yield the result of each way and the output that it left."""
    if NULL in ways:
        yield _judged(NULL, prepared.start, prepared)
    if not {OWN, GRAPH} & set(ways):
        return
    with prepared.bench.tensors.own_stream() as stream:
        if OWN in ways:
            yield _judged(OWN, prepared.start, prepared)
        if GRAPH in ways:
            yield from _by_graph(prepared, stream)


def _by_graph(prepared: Prepared, stream: int) -> Iterator[tuple[LaunchResult, bytes]]:
    """Capture the call, then launch the graph twice."""
    runtime = prepared.bench.runtime
    prepared.reset()
    runtime.begin_capture(stream)
    problem: str | None = None
    try:
        prepared.start()
    except Exception as error:  # the capture has to end, whatever a binding raises
        problem = _raised(prepared.call, error)
    graph = runtime.end_capture(stream)
    if problem is not None:
        name = prepared.bench.prefix + GRAPH
        yield failed(name, Finding(code="call", message=f"while it was captured: {problem}")), b""
        return
    runtime.synchronize()
    early = prepared.output() != before(prepared.problem)
    for way in (GRAPH, REPLAY):
        result, out = _judged(way, lambda: graph.launch(stream), prepared)
        if early and way == GRAPH:
            text = "the kernel ran while it was being captured"
            result = _with(result, Finding(code="early", message=text))
        yield result, out
    graph.destroy()


def _judged(way: str, launch: Callable[[], None], prepared: Prepared) -> tuple[LaunchResult, bytes]:
    """Launch once and judge; returns the output, empty where the call itself failed."""
    runtime, name = prepared.bench.runtime, prepared.bench.prefix + way
    prepared.reset()
    began = time.perf_counter()
    try:
        launch()
    except HipError:
        raise
    except Exception as error:  # whatever a binding raises, the next kernel has to run
        return failed(name, Finding(code="call", message=_raised(prepared.call, error))), b""
    runtime.synchronize()
    seconds = time.perf_counter() - began
    sent = {part: whole(data) + GUARD for part, data in prepared.call.sent.items()}
    found = {
        part: runtime.read(pointer, len(sent[part]))
        for part, pointer in prepared.bench.tensors.pointers.items()
    }
    out = found[OUT][:-GUARD_BYTES]
    verdict = judge(prepared.problem, prepared.expected, out)
    result = LaunchResult(
        way=name,
        elements=verdict.elements,
        max_error=verdict.max_error if math.isfinite(verdict.max_error) else None,
        seconds=round(seconds, 6),
        findings=(*verdict.findings, *judge_surroundings(sent, found, OUT)),
        output_sha256=hashlib.sha256(out).hexdigest(),
    )
    return result, out


def _raised(call: Call, error: Exception) -> str:
    return f"{call.function} raised {type(error).__name__}: {error}"


def failed(way: str, finding: Finding) -> LaunchResult:
    """Return the result of a launch that gave nothing to compare."""
    return LaunchResult(way=way, elements=0, max_error=None, seconds=0.0, findings=(finding,))


def _unsteady(result: LaunchResult) -> LaunchResult:
    text = "the same call gave other bits than the first time"
    return _with(result, Finding(code="unsteady", message=text))


def _with(result: LaunchResult, finding: Finding) -> LaunchResult:
    return LaunchResult(**{**vars(result), "findings": (*result.findings, finding)})
