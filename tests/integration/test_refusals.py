"""Neither `choose` nor `explain` promises a kernel for a call that the real module would refuse.

Any shape and setting of the Kimi wheel's module: what the manifest's table and the verdicts say
against what the compiled module does on the recording runtime, with a guard and without one.
"""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiter_prebuilt.call import Call as Asked
from aiter_prebuilt.call import Shape
from aiter_prebuilt.choice import explain, verdict
from aiter_prebuilt.choice.dispatch import built_kernel, choose
from aiter_prebuilt.choice.questions import Question
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.generations import load
from aiter_prebuilt.wheel.manifest import Module
from prebuild.recording import Call, Recorder
from tests.integration.calls import TOP_K, stage1, stage2
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain
BLOCK_MS = st.sampled_from((16, 32, 33, 64, 128, 256))
DIMS = st.one_of(
    st.integers(1, 64).map(lambda count: 32 * count),
    st.sampled_from((192, 256, 384, 512, 768, 1024, 1536, 2048, 7168)),
)


@st.composite
def batches(draw: st.DrawFn, module: Module) -> list[Asked]:
    """Some dozens of calls: one process makes them all."""
    assert module.features is not None
    names = st.sampled_from(("", "", "no_such_kernel", *(each.name for each in module.instances)))
    one = st.builds(
        Asked,
        features=st.just(module.features),
        shape=st.builds(
            Shape, model_dim=DIMS, inter_dim=DIMS, experts=st.just(384), topk=st.just(TOP_K)
        ),
        stage=st.sampled_from((1, 2)),
        tokens=st.integers(1, 5000),
        block_m=BLOCK_MS,
        kernel_name=names,
    )
    return draw(st.lists(one, min_size=30, max_size=60))


def expected(module: Module, asked: Asked) -> tuple[str, str | None]:
    """("launched", kernel), or what the module has to refuse the call for."""
    choice = choose(module.instances, asked)
    if choice.name_unknown:
        return "name", None
    if choice.instance is None:
        return "block_m", None
    if not choice.instance.kernels:
        return "instance", None
    if choice.variant is None:
        return "tile", None
    kernel = built_kernel(choice.instance, choice.variant)
    return ("kernel", None) if kernel is None else ("launched", kernel.symbol)


def call_of(asked: Asked, *, guarded: bool) -> Call:
    made: Any = stage1 if asked.stage == 1 else stage2
    call: Call = made(
        tokens=asked.tokens,
        inter_dim=asked.shape.inter_dim,
        model_dim=asked.shape.model_dim,
        block_m=asked.block_m,
        kernel=asked.kernel_name,
        uncovered=guarded,
    )
    return call


def test_the_module_launches_what_choose_names_and_hands_on_the_rest(
    recorder: Recorder, kimi: KimiWheel, tmp_path: Path
) -> None:
    (module,) = kimi.manifest.modules
    seen: set[str] = set()

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(batch=batches(module))
    def holds(batch: list[Asked]) -> None:
        calls = [call_of(asked, guarded=guarded) for asked in batch for guarded in (True, False)]
        recorded = recorder.record(kimi.name, kimi.module, calls, log=tmp_path / "launches")
        launched = iter(recorded.launches)
        for position, asked in enumerate(batch):
            guarded, alone = recorded.results[2 * position : 2 * position + 2]
            what, symbol = expected(module, asked)
            seen.add(what)
            if what == "launched":
                assert [next(launched).symbol for _ in range(2)] == [symbol] * 2, asked
            else:
                assert guarded["returned"][1] == what, asked
            if what == "name" and "raised" not in alone:
                next(launched)  # the heuristic's
            elif what != "launched":
                assert alone["raised"] in ("RuntimeError", "ValueError"), asked
        assert next(launched, None) is None

    holds()
    # Every instance of this module has a kernel; those of test_families.py are left out.
    assert seen == {"launched", "name", "block_m", "tile", "kernel"}


GENERATIONS = tuple(load().generations.values())
FEW_DIMS = st.sampled_from((256, 384, 512, 1024, 2048, 7168))
COLUMNS = {
    "cu_num": 256, "act_type": "ActivationType.Silu", "use_g1u1": 1, "dtype": "torch.bfloat16",
    "q_dtype_a": "torch.float4_e2m1fn_x2", "q_dtype_w": "torch.float4_e2m1fn_x2",
    "q_type": "QuantType.per_1x32", "doweight_stage1": 0, "expert": 384, "topk": TOP_K, "us": 20,
    "run_1stage": 0,
}  # fmt: skip


def names(module: Module) -> st.SearchStrategy[str]:
    return st.sampled_from(("", "no_such_kernel", *(each.name for each in module.instances)))


@st.composite
def questions(draw: st.DrawFn, module: Module) -> list[Question]:
    """As AITER chooses, mostly; now and then a block_m or a kernel that somebody gave."""
    given = st.one_of(st.just({}), st.fixed_dictionaries({"block_m": BLOCK_MS}))
    named = st.one_of(st.just({}), st.fixed_dictionaries({"kernel_1": names(module)}))
    return [
        Question(
            shape=Shape(
                model_dim=draw(FEW_DIMS), inter_dim=draw(FEW_DIMS), experts=384, topk=TOP_K
            ),
            tokens=draw(st.sampled_from((1, 16, 64, 100, 1024, 4096, 40000))),
            **draw(given),
            **draw(named),
        )
        for _ in range(draw(st.integers(10, 25)))
    ]


@st.composite
def rows(draw: st.DrawFn, module: Module) -> list[dict[str, Any]]:
    """Rows of a tuned table: some of our kernels, of nobody's, and of another back end's."""
    kernels = st.one_of(names(module), st.just("flydsl_x"), st.just("cktile_x"))
    one = st.fixed_dictionaries(
        {
            "token": st.sampled_from((1, 16, 64, 128, 1024, 4096, 32768)),
            "model_dim": FEW_DIMS, "inter_dim": FEW_DIMS, "block_m": BLOCK_MS,
            "ksplit": st.sampled_from((0, 2)), "kernelName1": kernels, "kernelName2": kernels,
            "_tag": st.sampled_from(("", "", "flydsl_fallback")),
        }
    )  # fmt: skip
    keys = ("token", "model_dim", "inter_dim", "_tag")
    return draw(st.lists(one, max_size=40, unique_by=lambda row: tuple(row[key] for key in keys)))


def table(path: Path, found: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *found[0]])
        writer.writeheader()
        writer.writerows({**COLUMNS, **row} for row in found)
    return path


RULES = st.builds(
    Rules,
    generation=st.sampled_from(GENERATIONS),
    flydsl=st.booleans(),
    cu_count=st.sampled_from((256, 256, 128, 32)),
    ksplit=st.sampled_from((0, 0, -1, 2)),
    bypass=st.booleans(),
    flydsl_force=st.booleans(),
    online_tune=st.booleans(),
)
"""The environment as AITER reads it."""


def test_explain_never_calls_prebuilt_what_the_module_refuses_or_hands_on(
    recorder: Recorder, kimi: KimiWheel, tmp_path: Path
) -> None:
    (module,) = kimi.manifest.modules
    features = module.features
    assert features is not None
    served = explain.Supply(
        verdict=verdict.prebuilt(module.name, module.stock_name),
        modules=(module,),
        table=module.instances,
        beyond=verdict.compiles("CK2stages", module.stock_name),
    )

    def supply(name: str) -> explain.Supply:
        if name.startswith(module.stock_name):
            return served
        return explain.Supply(verdict=verdict.compiles(verdict.builder_of(name), name))

    numbers = itertools.count()
    seen: dict[tuple[str, bool], int] = {}

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(asked=questions(module), rules=RULES, checked=st.booleans(), tuned=rows(module))
    def holds(
        asked: list[Question], rules: Rules, checked: bool, tuned: list[dict[str, Any]]
    ) -> None:
        path = table(tmp_path / f"{next(numbers)}.csv", tuned) if tuned else None
        at = explain.AiterAt(tables=(path,) if path else (), rules=rules, checked=checked)
        found = explain.explain(asked, features, supply, at)
        # Not those that AITER tunes, or cannot ask for.
        ours = [
            each for each in found if (each.verdict.module or "").startswith(features.stock_name)
        ]
        # The guard of an AITER that was checked lets the module go on with a name that it has not.
        calls = [call_of(each.call, guarded=not checked) for each in ours]
        recorded = recorder.record(kimi.name, kimi.module, calls, log=tmp_path / "launches")
        launched = iter(recorded.launches)
        for answer, result in zip(ours, recorded.results, strict=True):
            state = answer.verdict.state
            seen[state, checked] = seen.get((state, checked), 0) + 1
            takes = "raised" not in result and result.get("returned") is None
            assert takes == (state == "prebuilt"), (answer, result)
            if takes:
                assert next(launched).symbol == answer.kernel, answer
        assert next(launched, None) is None

    holds()
    states = {("prebuilt", True), ("prebuilt", False), ("compiles", True), ("compiles", False)}
    assert set(seen) == {*states, ("refused", True)}
    assert sum(seen.values()) > 500, seen
