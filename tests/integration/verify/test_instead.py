"""What answers for a kernel with wrong numbers, run on the problems that name that one."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from prebuild.gfx950.launch import Launch
from prebuild.recording import Call, Recorder
from prebuild.toolchain import Toolchain
from prebuild.verify import capture, launches, runner
from prebuild.verify.problems import Batch, Problem
from prebuild.verify.source import collect
from prebuild.verify.subject import Subject, batches
from tests.integration.calls import stage2, tensor
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain

FP4, SCALE = "float4_e2m1fn_x2", "float8_e8m0fnu"
BLOCK_M = 32


@pytest.fixture(scope="module")
def subjects(kimi: KimiWheel, recorder: Recorder) -> dict[str, Subject]:
    """The wheel's kernels of the instance that answers, by main loop and tail."""
    found = collect(kimi.unpacked, recorder).subjects
    own = [one for one in found if one.facts.name().startswith("gemm2_256x32x128x128_v3 ")]
    return {one.facts.name().split()[1]: one for one in own}


def call(kernel: str, problem: Problem, placed: launches.Placed) -> Call:
    """AITER's call of stage 2 for a problem in memory, by a kernel's name."""
    batch, routing = problem.batch, problem.routing
    (n, k), tokens, topk = (batch.gemm.n, batch.gemm.k), batch.tokens, batch.topk
    assert placed.a_scale is not None
    assert placed.b_scale is not None
    given = {
        0: tensor(placed.a.base, FP4, tokens, topk, k // 2),
        1: tensor(placed.b.base, FP4, batch.experts, n, k // 2),
        2: tensor(placed.b.base, FP4, batch.experts, n, k // 2),
        3: tensor(placed.sorted_ids.base, "int32", *routing.sorted_ids.shape),
        4: tensor(placed.sorted_experts.base, "int32", *routing.sorted_experts.shape),
        5: tensor(placed.valid.base, "int32", 2),
        6: tensor(placed.out.base, "bfloat16", tokens, n),
        7: topk,
        9: tensor(placed.b_scale.base, SCALE, placed.b_scale.size),
        10: tensor(placed.a_scale.base, SCALE, placed.a_scale.size),
        12: tensor(placed.weights.base, "float32", *routing.sorted_weights.shape),
    }
    return stage2(kernel=kernel, block_m=batch.block_m, replace=given)


def launch_by(
    kimi: KimiWheel, recorder: Recorder, kernel: str, subject: Subject, batch: Batch, log: Path
) -> Launch:
    """The launch that the module makes where ``kernel`` is named for a problem of ``subject``."""
    problem, placed = capture.place(subject.facts, batch)
    recorded = recorder.record(
        kimi.name,
        kimi.module,
        [call(kernel, problem, placed)],
        log=log,
        argument_bytes=launches.layout_of(problem.kind).size,
    )
    (made,) = recorded.launches
    return capture.launch_of(made)


@pytest.mark.parametrize("variant", ["nomain_even", "main_even"])
def test_who_answers_is_right_on_the_problems_of_the_wrong_kernel(
    kimi: KimiWheel,
    recorder: Recorder,
    toolchain: Toolchain,
    subjects: dict[str, Subject],
    variant: str,
    tmp_path: Path,
) -> None:
    """K of 512 and 1024: the shapes of the wrong kernels with the same main loop and tail."""
    (wrong,) = [i.name for i in kimi.manifest.modules[0].instances if i.instead]
    subject = subjects[variant]
    program = runner.load(subject, Path(toolchain.tool("llvm-objdump")))
    for batch in batches(subject.facts):
        assert batch.block_m == BLOCK_M
        made = launch_by(kimi, recorder, wrong, subject, batch, tmp_path / "launches")
        own = subject.launches[batch.name()]  # by its own name; it is as CK makes it
        assert (made.symbol, made.grid, made.block) == (own.symbol, own.grid, own.block)
        layout = launches.layout_of(subject.facts.kind).format  # behind it is padding
        read = [struct.unpack_from(layout, x.kernarg, launches.HEAD) for x in (made, own)]
        assert read[0] == read[1]
        named = replace(subject, launches={batch.name(): made})
        problem, _ = capture.place(subject.facts, batch)
        run = runner.run_problem(named, program, problem)
        assert run.failure == ""
        assert run.judgement is not None
        assert run.judgement.elements == batch.tokens * batch.gemm.n
