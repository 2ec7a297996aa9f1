from __future__ import annotations

import dataclasses
import math
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from aiter_prebuilt.call import Call, Shape
from aiter_prebuilt.selftest import calls, timing
from aiter_prebuilt.selftest.content import whole
from aiter_prebuilt.selftest.problems import make_problem
from aiter_prebuilt.selftest.timing import bytes_of, large_problem, median, sizes_of
from aiter_prebuilt.wheel.manifest import Deployment, Reach
from tests.unit.aiter_prebuilt.samples import kernel
from tests.unit.aiter_prebuilt.selftest.kinds import KINDS, case, features


def deployment(**changes: Any) -> Deployment:
    dims = {"model_dim": 1024, "inter_dim": 512, "experts": 16, "topk": 4}
    shape = Shape(**{name: changes.pop(name, value) for name, value in dims.items()})
    values: dict[str, Any] = {
        "recipe": "r",
        "tp": 8,
        "shape": shape,
        "tokens_min": 3,
        "tokens_max": 100,
        "features": features(),
    }
    return Deployment(**{**values, **changes})


def call(stage: Any = 1, tokens: int = 4, **dims: int) -> Call:
    values = {"model_dim": 256, "inter_dim": 64, "experts": 3, "topk": 2}
    return Call(
        features=features(),
        shape=Shape(**{**values, **dims}),
        stage=stage,
        tokens=tokens,
        block_m=32,
    )


def reached(block_m: int, stage: int = 1) -> Any:
    own = kernel(main_loop=True, tail="even")
    return case(stage=stage, block_m=block_m, reached_by=(Reach(block_m=block_m),), kernels=(own,))


def test_shapes_are_the_fewest_and_most_tokens_that_take_the_kernel() -> None:
    small = sizes_of(reached(32), [deployment(), deployment(features=features(splitk=True))])
    sizes = [(sized.call.tokens, sized.call.gemm.n, sized.call.gemm.k) for sized in small]
    assert sizes == [(8, 512, 1024), (128, 512, 1024)]
    assert small[0].text() == "tokens=8 n=512 k=1024 experts=16 topk=4"
    assert sizes_of(reached(128), [deployment(tokens_max=4)]) == []
    # 1280 values of K are five steps: an odd tail, another kernel.
    assert sizes_of(reached(32), [deployment(model_dim=1280)]) == []


def test_a_split_k_module_is_timed_at_the_deployments_of_its_recipe() -> None:
    kind = features("f8", "f8", "per_1x128", splitk=True)
    own = kernel(main_loop=False, tail="even")
    asked = case(kind, block_m=16, reached_by=(Reach(block_m=16),), kernels=(own,))
    whole = dataclasses.replace(kind, splitk=False)
    sized = sizes_of(asked, [deployment(features=whole, model_dim=4096, inter_dim=256, experts=64)])
    assert {one.call.parts for one in sized} == {8}
    problem = large_problem(asked, sized[0].call)
    assert (problem.parts, problem.out_shape[-1], problem.out.width) == (8, 2 * 256, 4)
    assert bytes_of(asked, sized[0].call) > 4 * math.prod(problem.out_shape)


def test_one_token_count_is_one_shape() -> None:
    found = sizes_of(reached(32), [deployment(tokens_min=8, tokens_max=8)])
    assert [sized.call.tokens for sized in found] == [8]


def test_a_shape_that_two_recipes_share_is_one() -> None:
    found = sizes_of(reached(32), [deployment(), deployment(recipe="other")])
    assert {sized.deployment.recipe for sized in found} == {"r"}


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize(("a", "b", "quant"), KINDS)
def test_a_large_problem_has_the_buffers_of_a_small_one(
    a: str, b: str, quant: str, stage: int
) -> None:
    """With the small problem's numbers every buffer has the small problem's size."""
    asked = case(features(a, b, quant), stage)
    small = make_problem(asked, 1)
    model_dim, inter_dim = (small.k, small.n) if stage == 1 else (small.n, small.k)
    large = large_problem(asked, call(stage, tokens=29, model_dim=model_dim, inter_dim=inter_dim))
    for name in ("activations", "weights"):
        ours, theirs = getattr(large, name), getattr(small, name)
        assert ours.shape == theirs.shape
        assert len(ours.data) == len(theirs.data) == len(whole(ours.data))
        assert (ours.scales is None) == (theirs.scales is None)
        if ours.scales is not None:
            assert ours.scales.torch == theirs.scales.torch
            assert len(ours.scales.data) == len(theirs.scales.data)
    assert large.out_shape == small.out_shape
    assert len(large.sorted_ids) == len(small.sorted_ids) == len(large.sorted_weights)


def test_every_slot_is_sorted_once_to_its_expert() -> None:
    problem = large_problem(case(), call(tokens=9, experts=16, topk=4))
    ids = struct.unpack(f"<{len(problem.sorted_ids) // 4}i", whole(problem.sorted_ids))
    real = [word for word in ids if word >> 24 < 4]
    assert sorted(real) == sorted(slot << 24 | token for slot in range(4) for token in range(9))
    experts = struct.unpack(f"<{len(problem.sorted_experts) // 4}i", whole(problem.sorted_experts))
    assert list(experts) == sorted(experts)
    assert struct.unpack("<2i", whole(problem.valid)) == (32 * len(experts), 9)
    assert len(ids) == 9 * 4 + 16 * 32 - 4


def test_memory_is_counted_before_it_is_taken() -> None:
    size = bytes_of(case(), call(tokens=1, experts=384, model_dim=7168, inter_dim=2048))
    assert 384 * 2 * 2048 * 7168 // 2 <= size < 1.01 * 384 * 2048 * 7168


def test_the_median_of_what_the_events_say() -> None:
    times = iter([9.0, 1.0, 5.0])
    runs: list[str] = []
    first = SimpleNamespace(record=lambda _stream: runs.append("first"))
    last = SimpleNamespace(
        record=lambda _stream: runs.append("last"),
        microseconds_since=lambda earlier: next(times) if earlier is first else 0,
    )

    class Events:
        def __enter__(self) -> Any:
            return first, last

        def __exit__(self, *_: object) -> None:
            pass

    functions = SimpleNamespace(f=lambda *_args: runs.append("call"))
    made = calls.Call(function="f", arguments=(1,), sent={})
    found = median(made, functions, SimpleNamespace(events=Events), (2, 3))  # type: ignore[arg-type]
    assert found == 5.0
    assert runs == ["call", "call", *["first", "call", "last"] * 3]
    assert timing.WARM_UP >= 5
    assert timing.REPEATS >= 50
