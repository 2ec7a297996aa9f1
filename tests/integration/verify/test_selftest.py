"""The problems of ``selftest`` on the executor: operands, reference and judge, without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiter_prebuilt.selftest.content import whole
from aiter_prebuilt.selftest.judge import before, judge
from aiter_prebuilt.selftest.problems import Case, Problem, make_problem
from aiter_prebuilt.selftest.reference import expect
from prebuild.gfx950.machine import Machine
from prebuild.gfx950.memory import Allocation, Memory
from prebuild.toolchain import Toolchain
from prebuild.verify import launches
from prebuild.verify import problems as build_side
from prebuild.verify.runner import load
from prebuild.verify.subject import Subject, subjects_in
from tests.integration.conftest import KimiWheel
from tests.integration.effects import cases_in

pytestmark = pytest.mark.toolchain


def as_array(data: Any, kind: Any = np.uint8) -> Any:
    return np.frombuffer(bytearray(whole(data)), kind)


def place(problem: Problem) -> tuple[launches.Placed, Memory]:
    """The selftest's own bytes in the executor's memory."""
    memory = Memory()

    def put(name: str, data: Any) -> Allocation:
        return memory.allocate(name, as_array(data))

    a, w = problem.activations, problem.weights
    return launches.Placed(
        sorted_ids=put("ids", problem.sorted_ids),
        sorted_experts=put("experts", problem.sorted_experts),
        valid=put("valid", problem.valid),
        a=put("a", a.data),
        a_scale=put("a_scale", a.scales.data) if a.scales else None,
        b=put("w", w.data),
        b_scale=put("w_scale", w.scales.data) if w.scales else None,
        weights=put("weights", problem.sorted_weights),
        out=memory.allocate("out", as_array(before(problem)), writable=True),
    ), memory


def sizes(subject: Subject, problem: Problem) -> build_side.Problem:
    """What the launch of the build side reads of a problem: its numbers."""
    none = np.zeros(0, np.uint8)
    ids = as_array(problem.sorted_ids, np.int32)
    routing = build_side.Routing(
        topk_ids=ids,
        weights=ids.astype(np.float32),
        sorted_ids=ids,
        sorted_weights=ids.astype(np.float32),
        sorted_experts=ids,
        valid=0,
    )
    return build_side.Problem(
        kind=subject.facts.kind,
        batch=build_side.Batch.of(
            stage=problem.stage,
            tokens=problem.tokens,
            topk=problem.topk,
            experts=3,
            n=problem.n,
            k=problem.k,
            block_m=problem.block_m,
        ),
        routing=routing,
        activations=none,
        activation_scales=None,
        weights=none,
        weight_scales=None,
    )


def run(case: Case, subject: Subject, objdump: Path, seed: int) -> Any:
    problem = make_problem(case, seed)
    placed, memory = place(problem)
    launch = launches.launch(
        subject.symbol,
        subject.facts.tile,
        sizes(subject, problem),
        placed,
        routed_weight=problem.multiplies,
    )
    Machine(load(subject, objdump), memory, launch).run()
    out = placed.out.data[: len(before(problem))].tobytes()
    return judge(problem, expect(problem), out)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_kernel_of_the_wheel_gives_what_selftest_expects(
    kimi: KimiWheel, toolchain: Toolchain, seed: int
) -> None:
    subjects = {one.symbol: one for one in subjects_in(kimi.module).subjects}
    cases = cases_in(kimi.manifest)
    assert len(cases) == len(subjects)
    for case in cases:
        found = run(case, subjects[case.kernel.symbol], toolchain.tool("llvm-objdump"), seed)
        assert found.findings == (), case.name
        assert 0.1 < found.max_error <= 1, case.name
        tokens = case.instance.block_m - 3
        slots = 2 if case.instance.stage == 1 else 1
        assert found.elements == tokens * slots * 2 * case.instance.n_per_block
