"""Which kernel a call launches, with which grid and arguments: the real module, recorded."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.call import Call as Asked
from aiter_prebuilt.call import Shape
from aiter_prebuilt.choice.dispatch import built_kernel, choose, variant_of
from aiter_prebuilt.wheel.manifest import Instance
from prebuild.core.contracts import load_contracts
from prebuild.recording import Call, Recorder
from prebuild.recording.recorder import LaunchRecord, Recorded
from tests.integration.calls import MODEL_DIM, SORTED, TOP_K, stage1, stage2, tensor
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain
ARGUMENT_BYTES = 200
"""kernarg_segment_size of every A4W4 kernel."""
INTER_DIMS = (256, 512, 1024, 2048)
BLOCK_MS = (32, 64, 128)


@pytest.fixture(params=["methods", "exchange"])
def record(
    request: pytest.FixtureRequest, recorder: Recorder, kimi: KimiWheel, tmp_path: Path
) -> Any:
    """Every test runs with tensors of both kinds: Python methods alone, DLPack's exchange API."""

    def run(calls: Sequence[Call], **environment: str) -> Recorded:
        return recorder.record(
            kimi.name,
            kimi.module,
            calls,
            log=tmp_path / "launches",
            argument_bytes=ARGUMENT_BYTES,
            environment=environment,
            exchange=request.param == "exchange",
        )

    return run


def expected(kimi: KimiWheel, stage: Any, block_m: int, inter_dim: int, name: str = "") -> Instance:
    (module,) = kimi.manifest.modules
    assert module.features is not None
    asked = Asked(
        features=module.features,
        shape=Shape(model_dim=MODEL_DIM, inter_dim=inter_dim, experts=384, topk=TOP_K),
        stage=stage,
        tokens=64,
        block_m=block_m,
        kernel_name=name,
    )
    found = choose(module.instances, asked).instance
    assert found is not None
    return found


def check_launch(launch: LaunchRecord, instance: Instance, *, n: int, k: int, rows: int) -> None:
    kernel = built_kernel(instance, variant_of(instance, k))
    assert kernel is not None
    assert launch.symbol == kernel.symbol
    blocks = -(-n // instance.n_per_block), -(-rows // instance.block_m)
    assert launch.grid == (*blocks, 1)
    assert launch.block == (256 if "_256x" in instance.name else 64, 1, 1)
    assert launch.stream == 0x5000


def test_signatures_are_the_contracts(record: Any) -> None:
    agreed = load_contracts()[0]
    docs = record([]).docs
    lines = {name: text.splitlines()[0] for name, text in docs.items()}
    assert lines == agreed.contract.signatures


@pytest.mark.parametrize("stage", [1, 2])
def test_every_block_and_inter_dim_launches_the_heuristics_kernel(
    record: Any, kimi: KimiWheel, stage: int
) -> None:
    shapes = list(itertools.product(BLOCK_MS, INTER_DIMS))
    make = stage1 if stage == 1 else stage2
    recorded = record([make(block_m=block_m, inter_dim=dim) for block_m, dim in shapes])
    assert [result["returned"] for result in recorded.results] == [None] * len(shapes)
    for (block_m, dim), launch in zip(shapes, recorded.launches, strict=True):
        n, k = (dim, MODEL_DIM) if stage == 1 else (MODEL_DIM, dim)
        rows = min(64 * TOP_K * block_m, SORTED)
        check_launch(launch, expected(kimi, stage, block_m, dim), n=n, k=k, rows=rows)


def test_a_known_kernel_name_wins_over_block_m(record: Any, kimi: KimiWheel) -> None:
    (name,) = [i.name for i in kimi.manifest.modules[0].instances if "gemm1_256x32x" in i.name]
    (launch,) = record([stage1(kernel=name, block_m=32)]).launches
    check_launch(launch, expected(kimi, 1, 32, 1024, name), n=1024, k=MODEL_DIM, rows=64 * 8 * 32)


def wrong_name(kimi: KimiWheel) -> str:
    (name,) = [i.name for i in kimi.manifest.modules[0].instances if i.instead]
    assert "gemm2_64x32x32x128_1x1" in name
    return name


@pytest.mark.parametrize("inter_dim", [512, 1024, 2048])
def test_a_right_kernel_runs_instead_of_a_wrong_one_that_is_named(
    record: Any, kimi: KimiWheel, inter_dim: int
) -> None:
    """The launch is that of the one that answers, named itself; it is told once a module."""
    name = wrong_name(kimi)
    right = expected(kimi, 2, 32, inter_dim, name)
    assert "gemm2_256x32x128x128_1x4" in right.name
    calls = [stage2(kernel=each, block_m=32, inter_dim=inter_dim) for each in (name, right.name)]
    recorded = record([calls[0], *calls])
    named, again, own = recorded.launches
    check_launch(named, right, n=MODEL_DIM, k=inter_dim, rows=64 * 8 * 32)
    assert named == again == own
    ((told,), *rest) = [result["warnings"] for result in recorded.results]
    assert rest == [[], []]
    assert f"{right.name} runs instead of {name} (n = 7168, k = {inter_dim}): the block" in told
    heard = record([stage2(kernel=name, block_m=32, inter_dim=inter_dim, uncovered=True)])
    assert heard.results == ({"returned": None, "warnings": []},)  # the handler hears of it
    assert [launch.symbol for launch in heard.launches] == [named.symbol]


def test_a_warning_that_is_made_an_error_does_not_fail_a_call_that_was_launched(
    record: Any, kimi: KimiWheel
) -> None:
    call = stage2(kernel=wrong_name(kimi), block_m=32, inter_dim=512)
    recorded = record([dataclasses.replace(call, warnings="error")])
    assert recorded.results == ({"returned": None, "warnings": []},)
    assert len(recorded.launches) == 1


def test_a_named_kernel_that_is_right_runs_itself(record: Any, kimi: KimiWheel) -> None:
    recorded = record([stage2(kernel=wrong_name(kimi), block_m=32, inter_dim=256)])
    assert recorded.results[0] == {"returned": None, "warnings": []}
    assert "ELi64ELi32ELi32ELi128E" in recorded.launches[0].symbol


@pytest.mark.parametrize("uncovered", [True, False])
def test_a_shape_that_the_right_kernel_does_not_divide_is_handed_on_with_the_reason(
    record: Any, kimi: KimiWheel, uncovered: bool
) -> None:
    odd = {"inter_dim": 512, "model_dim": MODEL_DIM + 32, "block_m": 32}
    (result,) = record([stage2(kernel=wrong_name(kimi), uncovered=uncovered, **odd)]).results
    if uncovered:
        _, kind, reason, _, _ = result["returned"]
        assert kind == "kernel"
    else:
        assert result["raised"] == "RuntimeError"
        reason = result["message"]
    assert "n = 7200, k = 512" in reason
    assert "reads LDS while the load straight to it is in flight" in reason


def test_an_unknown_kernel_name_warns_and_takes_the_heuristic(record: Any, kimi: KimiWheel) -> None:
    recorded = record([stage1(kernel="no_such_kernel")])
    assert "no_such_kernel" in recorded.results[0]["warnings"][0]
    assert recorded.launches[0].symbol == expected(kimi, 1, 128, 1024).kernels[0].symbol


def test_arguments_are_laid_out_as_the_kernel_reads_them(record: Any) -> None:
    (one, two) = record([stage1(), stage2()]).launches
    for launch, n, k, weights in ((one, 1024, MODEL_DIM, 0x20000), (two, MODEL_DIM, 1024, 0x30000)):
        # BaseArgument (vtable, workspace), then Problem: tokens, top_k, M, N, K in bytes.
        head = struct.unpack_from("<5i", launch.arguments, 16)
        assert head == (64, TOP_K, SORTED, n, k // 2)
        pointers = struct.unpack_from("<7Q", launch.arguments, 104)
        assert pointers == (0x40000, 0x50000, 0x60000, 0x10000, 0x90000, weights, 0x80000)
        routed, out = struct.unpack_from("<QQ", launch.arguments, 176)
        assert out == 0x70000
        assert routed == (0xA0000 if launch is two else 0)


@pytest.mark.parametrize("keyword", ["use_non_temporal_load", "non_temporal_load"])
def test_both_names_of_the_seventeenth_argument_are_taken(record: Any, keyword: str) -> None:
    call = stage1()
    shorter = Call(function=call.function, args=call.args[:16], kwargs={keyword: True})
    assert record([shorter]).results[0]["returned"] is None


def test_the_device_of_out_is_made_current_with_its_stream(record: Any) -> None:
    base = stage1()
    moved = {
        position: {**value, "device": 3}
        for position, value in enumerate(base.args)
        if isinstance(value, dict)
    }
    recorded = record([stage1(replace=moved), base])
    assert [(launch.device, launch.stream) for launch in recorded.launches] == [
        (3, 0x5003),
        (0, 0x5000),
    ]


@pytest.mark.parametrize(
    ("replace", "raised", "texts"),
    [
        ({0: None}, "TypeError", ["hidden_states is None", "torch.Tensor"]),
        ({0: 7}, "TypeError", ["hidden_states is <class 'int'>"]),
        ({9: None}, "TypeError", ["w1_scale is None"]),
        ({0: tensor(1, "bfloat16", 64, 3584)}, "TypeError", ["bfloat16", "float4_e2m1fn_x2"]),
        ({6: tensor(1, "float16", 64, 8, 1024)}, "TypeError", ["out has dtype float16"]),
        ({6: tensor(1, "bfloat16", 64, 8, 1024, device=-1)}, "ValueError", ["out is not on a GPU"]),
        ({1: tensor(1, "uint8", 384, 2048, 3584, device=1)}, "ValueError", ["w1 is on GPU 1"]),
        (
            {0: tensor(1, "uint8", 64, 3584, contiguous=False)},
            "ValueError",
            ["hidden_states is not contiguous", "hidden_states.contiguous()"],
        ),
        ({1: tensor(0, "uint8", 384, 2048, 3584)}, "ValueError", ["w1 has elements but a null"]),
        ({3: tensor(1, "int64", 9)}, "TypeError", ["sorted_token_ids has dtype int64"]),
        ({11: 33}, "ValueError", ["block_m is 33"]),
        ({13: 1}, "ValueError", ["quant_type is 1, expected 3"]),
        ({14: 1}, "ValueError", ["activation is 1, expected 0"]),
        ({12: tensor(1, "float32", 9)}, "ValueError", ["sorted_weights is given"]),
        ({7: "eight"}, "TypeError", ["'topk' is 'eight'"]),
        ({8: 5}, "TypeError", ["'kernelName' is 5"]),
        ({11: 1 << 40}, "TypeError", ["'block_m' is 1099511627776"]),
    ],
)
def test_wrong_arguments_raise_what_was_found_and_expected(
    record: Any, replace: dict[int, Any], raised: str, texts: list[str]
) -> None:
    recorded = record([stage1(replace=replace), stage1()])
    assert recorded.results[0]["raised"] == raised
    for text in texts:
        assert text in recorded.results[0]["message"]
    # The process lives, the next call runs, the wrong one launched nothing.
    assert recorded.results[1]["returned"] is None
    assert len(recorded.launches) == 1


def test_wrong_counts_and_names_of_arguments(record: Any) -> None:
    good = stage1()
    calls = [
        Call(function="ck_moe_stage1", args=good.args[:5]),
        Call(function="ck_moe_stage1", args=(*good.args, True, 1)),
        Call(function="ck_moe_stage1", args=good.args, kwargs={"topk": 8}),
        Call(function="ck_moe_stage1", args=good.args, kwargs={"colour": 8}),
    ]
    messages = [result["message"] for result in record(calls).results]
    assert "missing required argument 'num_valid_ids' (pos 6)" in messages[0]
    assert "takes at most 19 arguments (20 given)" in messages[1]
    assert "got multiple values for argument 'topk'" in messages[2]
    assert "unexpected keyword argument 'colour'" in messages[3]


def test_no_token_is_no_launch_and_no_error(record: Any) -> None:
    empty = stage1(replace={0: tensor(0, "uint8", 0, 3584), 6: tensor(0, "bfloat16", 0, 8, 1024)})
    recorded = record([empty])
    assert recorded.results[0]["returned"] is None
    assert recorded.launches == ()


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (stage1(model_dim=7168 + 256, uncovered=True), "no kernel"),
        (stage2(inter_dim=768, uncovered=True), "no kernel"),
        (stage2(inter_dim=128 * 256, uncovered=False), ""),
    ],
)
def test_calls_outside_the_coverage_are_handed_on(record: Any, call: Call, what: str) -> None:
    recorded = record([call])
    if what:
        name, kind, reason, positional, keywords = recorded.results[0]["returned"]
        assert (name, kind, positional, keywords) == (call.function, "kernel", 18, [])
        assert what in reason
        assert recorded.launches == ()
    else:
        # Another inter_dim, but the same kernel of the four: it is covered.
        assert len(recorded.launches) == 1


def test_without_a_handler_an_uncovered_call_is_a_clear_error(record: Any) -> None:
    (result,) = record([stage2(inter_dim=768)]).results
    assert result["raised"] == "RuntimeError"
    assert "k = 768" in result["message"]


def test_a_shape_that_tiles_cannot_divide_is_an_error(record: Any) -> None:
    (result,) = record([stage1(inter_dim=1000)]).results
    assert result["raised"] == "RuntimeError"
    assert "n = 1000" in result["message"]
    assert "not multiples of its tile" in result["message"]


def test_an_error_of_the_runtime_becomes_an_exception(record: Any) -> None:
    (result,) = record([stage1()], HIP_RECORD_FAIL="719").results
    assert result["raised"] == "RuntimeError"
    assert "hipError 719" in result["message"]
    elsewhere = {
        position: {**value, "device": 5}
        for position, value in enumerate(stage1().args)
        if isinstance(value, dict)
    }
    (result,) = record([stage1(replace=elsewhere)], HIP_RECORD_DEVICES="2").results
    assert "hipError 101" in result["message"]


def test_many_calls_in_one_process_all_launch(record: Any) -> None:
    recorded = record([stage1(), stage2()] * 200)
    assert len(recorded.launches) == 400
