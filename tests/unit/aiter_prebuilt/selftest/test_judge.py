from __future__ import annotations

import math

import numpy as np
import pytest

from aiter_prebuilt.selftest.judge import GUARD, _share, before, judge, judge_surroundings
from aiter_prebuilt.selftest.problems import Problem, make_problem
from aiter_prebuilt.selftest.reference import Expected, expect
from tests.unit.aiter_prebuilt.selftest.kinds import as_bf16, case, split_case


@pytest.fixture(scope="module", params=[1, 2])
def problem(request: pytest.FixtureRequest) -> Problem:
    return make_problem(case(stage=request.param), 1)


@pytest.fixture(scope="module")
def expected(problem: Problem) -> Expected:
    return expect(problem)


def bf16(values: tuple[float, ...]) -> bytearray:
    return bytearray(as_bf16(values))


def test_a_right_output(problem: Problem, expected: Expected) -> None:
    found = judge(problem, expected, bytes(bf16(expected.values)))
    assert found.findings == ()
    assert 0 < found.max_error <= 1
    assert found.elements == len(expected.values) == math.prod(problem.out_shape)


def test_an_element_just_outside_of_its_bound(problem: Problem, expected: Expected) -> None:
    usual = [at for at, bound in enumerate(expected.bounds) if 0 < bound < math.inf]
    at = max(usual, key=lambda index: expected.values[index] / expected.bounds[index])
    values = list(expected.values)
    values[at] += math.copysign(expected.bounds[at] * 3, values[at])
    (finding,) = judge(problem, expected, bytes(bf16(tuple(values)))).findings
    assert finding.code == "value"
    assert finding.message.startswith(f"1 of {len(values)} elements are outside of their bound")
    assert str(list(_index(problem.out_shape, at)))[1:-1] in finding.message


def _index(shape: tuple[int, ...], at: int) -> list[int]:
    index = []
    for length in shape[::-1]:
        at, rest = divmod(at, length)
        index.append(rest)
    return index[::-1]


def test_nan_and_what_was_never_written(problem: Problem, expected: Expected) -> None:
    out = bf16(expected.values)
    out[2:4] = b"\xc0\x7f"
    out[-2:] = before(problem)[:2]
    found = judge(problem, expected, bytes(out))
    assert [finding.code for finding in found.findings] == ["left", "nan"]
    assert found.max_error == math.inf


@pytest.mark.parametrize(
    ("value", "want", "bound", "share"),
    [
        (math.inf, math.inf, 0.0, 0.0),
        (math.nan, math.nan, 0.0, 0.0),
        (-math.inf, math.inf, 0.0, math.inf),
        (3.4e38, math.inf, 0.0, math.inf),
        (math.nan, 1.0, 0.5, math.inf),
        (1.0, math.nan, 0.0, math.inf),
        (math.nan, 1.0, math.inf, 0.0),
        (1.0, 1.25, 0.5, 0.5),
        (1.0, 2.0, 0.0, math.inf),
    ],
)
def test_a_share_of_the_bound(value: float, want: float, bound: float, share: float) -> None:
    assert _share(value, want, bound) == share


def test_an_element_that_nobody_wrote_is_none_that_has_to_be_nan(
    problem: Problem, expected: Expected
) -> None:
    if problem.stage == 1:
        at = next(at for at, value in enumerate(expected.values) if math.isnan(value))
        out = bf16(expected.values)
        out[2 * at : 2 * at + 2] = before(problem)[:2]
        (finding,) = judge(problem, expected, bytes(out)).findings
        assert finding.code == "left"


def test_a_sum_that_nobody_added_to_is_left(problem: Problem, expected: Expected) -> None:
    (finding,) = judge(problem, expected, before(problem)).findings
    assert finding.code == "left"


def test_guards_and_inputs() -> None:
    sent = {"a": b"aaaa" + GUARD, "out": b"oooo" + GUARD}
    assert judge_surroundings(sent, sent, "out") == []
    assert judge_surroundings(sent, {**sent, "out": b"xxxx" + GUARD}, "out") == []
    (changed,) = judge_surroundings(sent, {**sent, "a": b"aaba" + GUARD}, "out")
    assert (changed.code, changed.message) == ("input", "byte 2 of input a changed")
    (hit,) = judge_surroundings(sent, {**sent, "out": b"oooo" + GUARD[:-1] + b"\0"}, "out")
    assert (hit.code, hit.message) == ("guard", "4095 bytes behind the end of out were written")
    (hit,) = judge_surroundings(sent, {**sent, "a": b"aaaa\0" + GUARD[1:]}, "out")
    assert hit.code == "guard"


def test_a_split_k_has_to_be_cleared_by_the_callee() -> None:
    problem = make_problem(split_case(), 1)
    expected = expect(problem)
    found = np.array(expected.values).astype(np.float32)
    assert judge(problem, expected, found.tobytes()).findings == ()
    start = before(problem)
    assert len(start) == 4 * len(expected.values)
    with np.errstate(invalid="ignore"):  # added to what lay there
        dirty = np.frombuffer(start, np.float32) + found
    (finding,) = judge(problem, expected, dirty.tobytes()).findings
    assert finding.code == "nan"
    (finding,) = judge(problem, expected, start).findings
    assert finding.code == "left"
    found[7] += 1
    (finding,) = judge(problem, expected, found.tobytes()).findings
    assert (finding.code, finding.message[:4]) == ("value", "1 of")
