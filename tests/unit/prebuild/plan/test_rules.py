from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from prebuild.core.model import Plan, PlannedModule
from prebuild.generate.sources import generate
from prebuild.plan.make import PlanError, make_plan
from prebuild.plan.rules import heuristic_calls, unavailable
from prebuild.recipe.recipes import Recipe
from tests.unit.prebuild.samples import PROJECT, kimi

BLOCKSCALE = {"activation_dtype": "f8", "weight_dtype": "f8", "quant": "per_1x128"}
PER_TOKEN = {"activation_dtype": "f8", "weight_dtype": "f8", "quant": "per_token"}
BF16 = {"activation_dtype": "b16", "weight_dtype": "b16", "quant": "no"}
INT4 = {"activation_dtype": "f8", "weight_dtype": "i4", "quant": "per_token"}


def recipe(**changes: Any) -> Recipe:
    raw = {
        "schema": 1, "name": "r", "model": "m", "hidden_size": 4096, "moe_inter_dim": {4: 384},
        "experts": 128, "top_k": 8, "activation": "silu", **changes,
    }  # fmt: skip
    return Recipe.model_validate(raw)


def module(*recipes: Recipe) -> PlannedModule:
    (found,) = make_plan(recipes).modules
    return found


def tiles(planned: PlannedModule, stage: int) -> set[str]:
    return {
        f"{item.tile.text}_v{item.tile.pipeline}" for item in planned.built if item.stage == stage
    }


def exclusions(plan: Plan, rule: str) -> list[tuple[str, str]]:
    return [(item.what, item.reason) for item in plan.exclusions if item.rule == rule]


@pytest.mark.parametrize(
    ("changes", "stage", "blocks"),
    [
        # Above 32 tokens one-stage assembly takes it; in old releases multiples of 256 alone.
        (BLOCKSCALE | {"moe_inter_dim": {4: 512}}, 1, (16,)),
        (BLOCKSCALE | {"moe_inter_dim": {4: 512}, "tokens": {"min": 64}}, 1, ()),
        (BLOCKSCALE, 1, (16, 64)),
        (BLOCKSCALE | {"tokens": {"min": 64}}, 1, (64,)),
        (BLOCKSCALE | {"routed_weight_stage": 1}, 1, (16, 64)),
        (BLOCKSCALE | {"output_dtypes": ["f16"]}, 2, (16, 64)),
        (BLOCKSCALE | {"splitk": True}, 1, (16,)),
        (BLOCKSCALE | {"splitk": True}, 2, ()),
        (BF16, 1, (32, 64, 128)),
        (BF16 | {"block_m": [64, 256]}, 1, (64,)),
        (INT4, 2, (32, 64, 128)),
    ],
)
def test_reached_block_sizes(changes: dict[str, Any], stage: Any, blocks: tuple[int, ...]) -> None:
    made = recipe(**changes)
    (features,) = made.features()
    (deployment,) = made.deployments(features)
    calls = heuristic_calls(made, deployment, stage)
    assert tuple(dict.fromkeys(call.block_m for call in calls)) == blocks
    assert {(call.stage, call.shape) for call in calls} <= {(stage, deployment.shape)}


def test_split_k_is_left_out_by_name_where_the_heuristic_asks_for_it() -> None:
    plan = make_plan([recipe(**BLOCKSCALE)])
    ((what, reason),) = exclusions(plan, "needs-newer-ck")
    assert what == f"{plan.modules[0].stock_name}_splitk"
    assert "IsSplitK" in reason
    assert len(plan.modules) == 1


def test_a_recipe_of_nothing_but_split_k_is_no_error() -> None:
    plan = make_plan([recipe(**BLOCKSCALE, splitk=True)])
    assert plan.modules == ()
    assert len(exclusions(plan, "needs-newer-ck")) == 1


def test_split_k_is_planned_where_the_composable_kernel_has_it() -> None:
    made = recipe(**BLOCKSCALE)
    plan = make_plan([made], frozenset({"split-k"}))
    assert exclusions(plan, "needs-newer-ck") == []
    whole, split = plan.modules
    assert split.stock_name == f"{whole.stock_name}_splitk"
    assert {item.stage for item in split.built} == {1}  # AITER asks it for nothing else
    # A part of K decides, and how many parts there are is not known before the call.
    for item in split.built:
        kernels = {(kernel.main_loop, kernel.tail) for kernel in item.kernels}
        assert kernels == {(True, "odd"), (True, "even"), (False, "even")}
    assert all("blkscaleSplitk" in item.name for item in split.built)
    assert {reason for _, reason in exclusions(plan, "k-loop") if "split K" in reason} == {
        "no part of a split K takes it: a part has two steps or more"
    }
    assert any("parts of K" in why for item in split.built for why in item.why)


def test_a_whole_split_k_module_hands_on_what_aiter_answers_wrongly() -> None:
    made = recipe(**BLOCKSCALE, splitk=True, coverage="full")
    (split,) = make_plan([made], frozenset({"split-k"})).modules
    assert split.coverage == "sound"
    assert split.name != split.stock_name


def test_swiglu_is_planned_where_the_composable_kernel_has_it() -> None:
    swiglu = recipe(**PER_TOKEN | {"activation": "swiglu"})
    (planned,) = make_plan([swiglu], frozenset({"swiglu"})).modules
    assert "_swiglu_per_token_" in planned.stock_name


def test_swiglu_is_left_out_by_name() -> None:
    plan = make_plan([recipe(**PER_TOKEN | {"activation": "swiglu"})])
    ((what, reason),) = exclusions(plan, "needs-newer-ck")
    assert "_swiglu_per_token_" in what
    assert "activation 3" in reason


def test_what_can_be_built_is_not_unavailable() -> None:
    family = module(recipe(**BLOCKSCALE)).family
    assert unavailable(family, recipe(**BLOCKSCALE).features()[0], "m") is None


def test_a_shape_that_aiter_refuses_itself_is_left_out_by_name() -> None:
    named = [{"stage": 2, "tile": "256x128x128x128_1x4_v1", "inter_dims": [384]}]
    plan = make_plan([recipe(**PER_TOKEN, named_kernels=named)])
    found = exclusions(plan, "not-divisible")
    names = [what.partition("_TypeCast")[0] for what, _ in found]
    assert "moe_ck2stages_gemm2_256x32x128x256_1x4" in names
    for _, reason in found:
        assert "r TP 4 (inter_dim 384): K = 384 is not a multiple of 256" in reason
    assert tiles(plan.modules[0], 2) == {"256x128x128x128_1x4_v1", "256x128x128x128_1x4_v3"}


def test_a_stage_without_any_usable_kernel_is_an_error() -> None:
    with pytest.raises(PlanError, match=r"moe_inter_dim\.4: K = 384 is not a multiple of 256"):
        make_plan([recipe(**PER_TOKEN, block_m=[32])])


def test_a_named_kernel_that_cannot_divide_its_shape_is_an_error() -> None:
    named = [{"stage": 2, "tile": "256x64x128x256_1x4_v1", "inter_dims": [384]}]
    with pytest.raises(PlanError, match="yet named_kernels has it"):
        make_plan([recipe(**PER_TOKEN, named_kernels=named)])


def test_the_instance_of_a_block_size_depends_on_inter_dim() -> None:
    whole = module(recipe(**BLOCKSCALE, moe_inter_dim={2: 768}, block_m=[16]))
    odd = module(recipe(**BLOCKSCALE, moe_inter_dim={4: 384}, block_m=[16]))
    assert tiles(whole, 2) == {"256x16x128x256_1x4_v1"}
    assert tiles(odd, 2) == {"128x16x128x128_1x2_v1"}
    assert tiles(whole, 1) == tiles(odd, 1) == {"256x16x128x256_1x4_v1"}


def test_why_an_instance_is_out_is_said() -> None:
    left = {item.name: item.excluded[0] for item in module(recipe(**BF16)).instances
            if not item.built}  # fmt: skip
    rules = {name.split("_")[3] + name.split("_")[6]: e.rule for name, e in left.items()}
    assert rules["256x256x64x64v1"] == "inter-dim"
    assert rules["256x256x128x64v3"] == "block-m"
    assert rules["256x256x128x64v1"] == "named-only"


def test_recipes_of_the_same_features_share_a_module_and_others_do_not() -> None:
    one = recipe(**BLOCKSCALE)
    two = recipe(**BLOCKSCALE, name="two", hidden_size=7168, moe_inter_dim={8: 256})
    late = recipe(**BLOCKSCALE, name="late", routed_weight_stage=1)
    plan = make_plan([one, two, late, kimi(tp=[2])])
    assert [item.recipes for item in plan.modules] == [
        ("r", "two"), ("late",), ("kimi-k2.5-mxfp4",),
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [BLOCKSCALE, BF16, INT4, PER_TOKEN])
def test_full_coverage_holds_every_kernel_of_aiters_module(changes: dict[str, Any]) -> None:
    made = module(recipe(**changes, coverage="full", moe_inter_dim={2: 768}))
    assert made.name == made.stock_name
    assert all(len(item.kernels) == len(made.family.variants(item.tile)) for item in made.instances)
    assert len({item.name for item in made.instances}) == len(made.instances)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("output", ["f16", "b16"])
@pytest.mark.parametrize("preshuffle", [True, False])
def test_variants_have_names_and_modules_of_their_own(
    stage: int, activation: str, output: str, preshuffle: bool
) -> None:
    made = module(
        recipe(
            **PER_TOKEN, moe_inter_dim={2: 768}, output_dtypes=[output], activation=activation,
            routed_weight_stage=stage, preshuffle=preshuffle,
        )
    )  # fmt: skip
    assert made.stock_name == (
        f"module_moe_ck2stages_f8_f8_preshuffle_{'on' if preshuffle else 'off'}_{output}_"
        f"{activation}_per_token_mulWeightStage{stage}"
    )
    for item in made.instances:
        assert f"MulRoutedWeight{int(item.stage == stage)}" in item.name
        assert item.name.endswith(f"F8_F8_{output.upper()}")
        assert (f"_{activation}_" in item.name) == (item.stage == 1)
    assert made.features.stock_name == made.stock_name


def test_modules_that_share_an_instance_share_its_sources() -> None:
    """Same text, so the same object of the cache: compiled once."""
    both = [recipe(**BF16), recipe(**BF16, name="off", preshuffle=False)]
    plan = make_plan(both)
    sources = generate(plan, PROJECT.templates)
    one, two = (item.name for item in plan.modules)
    shared = [path.relative_to(one) for path in sources if path.parts[0] == one]
    kernels = [path for path in shared if path.parts[0] in ("kernels", "instances")]
    assert len(kernels) > 10
    for path in kernels:
        assert sources[one / path] == sources[two / path]
    assert sources[PurePosixPath(one, "module.cpp")] != sources[PurePosixPath(two, "module.cpp")]
