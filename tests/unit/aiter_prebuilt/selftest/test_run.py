from __future__ import annotations

import hashlib
import sys

import pytest

from aiter_prebuilt.selftest.judge import judge
from aiter_prebuilt.selftest.problems import NoProblemError, make_problem
from aiter_prebuilt.selftest.reference import expect
from aiter_prebuilt.selftest.report import LaunchResult
from aiter_prebuilt.selftest.run import GRAPH, NULL, OWN, WAYS, Bench, Spent, run_case
from aiter_prebuilt.selftest.tensors import PlainTensors
from tests.unit.aiter_prebuilt.selftest.fakes import FakeFunctions, FakeHip
from tests.unit.aiter_prebuilt.selftest.kinds import as_bf16, case, features


@pytest.fixture(scope="module")
def good() -> bytes:
    return as_bf16(expect(make_problem(case(), 1)).values)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeHip:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "torch._C", raising=False)
    return FakeHip()


def run(
    runtime: FakeHip, functions: FakeFunctions, ways: tuple[str, ...] = WAYS
) -> list[LaunchResult]:
    bench = Bench(
        runtime=runtime,
        tensors=PlainTensors(runtime, 0),
        functions=functions,
    )
    return run_case(case(), bench, seed=1, ways=ways)


def codes(results: list[LaunchResult]) -> list[tuple[str, list[str]]]:
    return [(one.way, [finding.code for finding in one.findings]) for one in results]


def test_four_launches_are_right_and_all_memory_is_given_back(
    runtime: FakeHip, good: bytes
) -> None:
    functions = FakeFunctions(runtime, good)
    results = run(runtime, functions)
    assert codes(results) == [(way, []) for way in WAYS]
    assert {one.output_sha256 for one in results} == {hashlib.sha256(good).hexdigest()}
    assert sorted(runtime.freed) == sorted(runtime.memory)
    assert len(functions.calls) == 3  # the replay makes no call


def test_the_call_is_aiters(runtime: FakeHip, good: bytes) -> None:
    functions = FakeFunctions(runtime, good)
    run(runtime, functions, (NULL,))
    (call,) = functions.calls
    a, w1, w2, ids, experts, valid, out, topk, name, w_scale, a_scale, block_m, routed, *rest = call
    assert (a.shape, str(a.dtype)) == ((29, 128), "torch.float4_e2m1fn_x2")
    assert w1 is w2
    assert w1.shape == (3, 128, 128)
    assert (ids.shape, experts.shape, valid.shape) == ((29 * 2 + 94,), (2,), (2,))
    assert (out.shape, str(out.dtype), out.numel()) == ((29, 2, 64), "torch.bfloat16", 3712)
    assert (topk, name, block_m, routed) == (2, "one", 32, None)
    assert str(a_scale.dtype) == str(w_scale.dtype) == "torch.float8_e8m0fnu"
    assert rest == [3, 0, 1, False, None, True]
    assert out.dtype is run_dtype(runtime, good)


def run_dtype(runtime: FakeHip, good: bytes) -> object:
    """The dtype of another tensor of the same name: the binding compares objects."""
    functions = FakeFunctions(runtime, good)
    run(runtime, functions, (NULL,))
    return functions.calls[0][6].dtype


def test_the_streams_are_what_the_binding_sees(runtime: FakeHip, good: bytes) -> None:
    seen = []

    class Watching(FakeFunctions):
        def ck_moe_stage1(self, *args: object) -> None:
            seen.append(sys.modules["torch._C"]._cuda_getCurrentRawStream(0))
            super().ck_moe_stage1(*args)

    run(runtime, Watching(runtime, good), (NULL, OWN, GRAPH))
    assert seen == [0, 7, 7]
    assert sys.modules["torch._C"]._cuda_getCurrentRawStream(0) == 0


def test_other_bits_the_second_time_are_unsteady(runtime: FakeHip, good: bytes) -> None:
    problem = make_problem(case(), 1)
    others = (good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(0, len(good), 2))
    within = next(o for o in others if not judge(problem, expect(problem), o).findings)
    results = codes(run(runtime, FakeFunctions(runtime, good, within, good)))
    assert [found for _, found in results] == [[], ["unsteady"], [], []]


def test_a_capture_that_runs_is_early(runtime: FakeHip, good: bytes) -> None:
    functions = FakeFunctions(runtime, good)
    functions.ignores_capture = True
    found = codes(run(runtime, functions, (GRAPH,)))
    assert found == [("graph", ["left", "early"]), ("graph replay", ["left"])]


def test_what_a_binding_raises_fails_the_launch_alone(runtime: FakeHip, good: bytes) -> None:
    functions = FakeFunctions(runtime, good)
    functions.error = RuntimeError("no kernel")
    results = run(runtime, functions)
    assert codes(results) == [(NULL, ["call"]), (OWN, ["call"]), (GRAPH, ["call"])]
    assert "ck_moe_stage1 raised RuntimeError: no kernel" in results[0].findings[0].message
    assert "while it was captured" in results[2].findings[0].message


def test_an_error_of_hip_spends_the_process(runtime: FakeHip, good: bytes) -> None:
    runtime.sync_error = 700
    with pytest.raises(Spent) as caught:
        run(runtime, FakeFunctions(runtime, good))
    assert codes(caught.value.results) == [(NULL, ["hip"])]
    assert "hipError 700" in caught.value.results[0].findings[0].message


def test_no_problem(runtime: FakeHip, good: bytes) -> None:
    bench = Bench(
        runtime=runtime,
        tensors=PlainTensors(runtime, 0),
        functions=FakeFunctions(runtime, good),
    )
    with pytest.raises(NoProblemError):
        run_case(case(features(splitk=True)), bench, seed=1, ways=WAYS)
