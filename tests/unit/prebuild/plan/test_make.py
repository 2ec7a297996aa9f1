from __future__ import annotations

from dataclasses import replace

import pytest

from prebuild.core.contracts import Generation, load_contracts
from prebuild.core.model import Plan
from prebuild.families import find_table
from prebuild.families.reader import parse_family
from prebuild.plan.make import PlanError, make_plan
from prebuild.recipe.recipes import NamedKernel, find_recipes, load_recipes, narrow
from tests.unit.prebuild.samples import PROJECT, STOCK, kimi, kimi_plan

LARGE = {"256x32x128x128", "256x64x128x128", "256x128x128x128"}
SMALL = {"64x32x32x128", "64x64x128x128", "64x128x128x128"}


def tiles(plan: Plan, stage: int) -> set[str]:
    (module,) = plan.modules
    return {i.tile.text.rsplit("_", 1)[0] for i in module.built if i.stage == stage}


def variants(plan: Plan, stage: int) -> set[tuple[bool, str]]:
    (module,) = plan.modules
    return {(k.main_loop, k.tail) for i in module.built if i.stage == stage for k in i.kernels}


@pytest.mark.parametrize("tp", [1, 2, 4])
def test_large_inter_dims_need_no_small_instance(tp: int) -> None:
    plan = kimi_plan(tp=[tp])
    assert tiles(plan, 2) == LARGE
    assert tiles(plan, 1) == LARGE | {"64x32x32x128"}


def test_tp_8_reaches_the_small_instances() -> None:
    assert tiles(kimi_plan(tp=[8]), 2) >= SMALL


WRONG = {"main_even", "main_odd", "nomain_even"}
"""Kernels of stage 2's 64x32x32x128 with pipeline v1 (docs/numerics.md)."""


def kernel_names(plan: Plan) -> dict[str, set[str]]:
    (module,) = plan.modules
    return {i.name: {k.id.rsplit(".", 1)[1] for k in i.kernels} for i in module.built}


def test_full_coverage_is_aiters_module_with_right_kernels_for_its_wrong_ones() -> None:
    plan = kimi_plan(coverage="full")
    (module,) = plan.modules
    every = WRONG | {"nomain_odd"}
    found = kernel_names(plan)
    assert len(found) == 10
    assert {name: every - kernels for name, kernels in found.items() if kernels != every} == {
        next(name for name in found if "gemm2_64x32x32x128" in name): WRONG
    }
    assert (module.coverage, module.name, module.stock_name) == ("full", STOCK, STOCK)


def test_a_wrong_kernel_that_no_right_one_answers_for_leaves_a_module_without_aiters_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (PROJECT.root / "packaging/prebuild/families/a4w4_preshuffle.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("instead = ")]
    family = parse_family("\n".join(lines))
    monkeypatch.setattr("prebuild.families.reader.load_families", lambda: {family.name: family})
    find_table.cache_clear()
    try:
        plan = kimi_plan(coverage="full")
    finally:
        find_table.cache_clear()
    (module,) = plan.modules
    assert (module.coverage, module.stock_name) == ("sound", STOCK)
    assert module.name == f"{STOCK}__sound_{module.key[:8]}"
    assert not any(instance.facts.instead for instance in module.instances)
    assert all(e.reason.endswith("AITER's own build takes such a call") for e in plan.exclusions
               if e.rule == "wrong-numbers")  # fmt: skip


def test_wrong_kernels_are_excluded_by_their_rule_and_no_other() -> None:
    out = [e for e in kimi_plan(coverage="full").exclusions if e.rule != "inter-dim"]
    assert {e.rule for e in out} == {"wrong-numbers"}
    assert {e.what.rsplit(".", 1)[1] for e in out} == WRONG
    assert all("gemm2_64x32x32x128_1x1" in e.what and "in flight" in e.reason for e in out)


@pytest.mark.parametrize("inter_dim", [512, 768, 1024])
def test_a_recipe_that_names_a_wrong_kernel_gets_the_one_that_answers_for_it(
    inter_dim: int,
) -> None:
    named = NamedKernel(stage=2, tile="64x32x32x128_1x1_v1", inter_dims=(inter_dim,))
    dims = {8: 256, 4: inter_dim}
    recipe = kimi().model_copy(update={"moe_inter_dim": dims, "named_kernels": (named,)})
    plan = make_plan([recipe])
    (small,) = [kernels for name, kernels in kernel_names(plan).items() if "gemm2_64x32x" in name]
    assert small == {"nomain_odd"}
    wrong = {e.what.rsplit(".", 1)[1] for e in plan.exclusions if e.rule == "wrong-numbers"}
    assert wrong == WRONG
    (module,) = plan.modules
    assert module.coverage == "deployed"
    (right,) = [i for i in module.instances if "gemm2_256x32x128x128" in i.name]
    whys = [why for kernel in right.kernels for why in kernel.why]
    told = "named by AITER's tuned rows, instead of gemm2_64x32x32x128_1x1_v1: the block pipeline"
    assert [why for why in whys if f"(inter_dim {inter_dim}): {told}" in why]


@pytest.mark.parametrize("rest", [32, 64, 96])
def test_no_recipe_has_a_hidden_size_that_the_one_that_answers_does_not_divide(rest: int) -> None:
    """Stage 1 sums over the hidden size: no tile of AITER's takes one that 256 does not divide."""
    named = NamedKernel(stage=2, tile="64x32x32x128_1x1_v1", inter_dims=(1024,))
    recipe = kimi(tp=[2]).model_copy(update={"hidden_size": 7168 + rest, "named_kernels": (named,)})
    with pytest.raises(PlanError, match=f"K = {7168 + rest} is not a multiple of 256"):
        make_plan([recipe])


def test_no_module_of_any_recipe_holds_a_wrong_kernel() -> None:
    recipes = load_recipes(find_recipes([], PROJECT.recipes))
    for coverage in ("deployed", "full"):
        plan = make_plan([narrow(recipe, coverage=coverage) for recipe in recipes])
        for module in plan.modules:
            wrong = {(f.stage, f.tile): f.wrong for f in module.family.instances}
            held = [(i, k) for i in module.built for k in i.kernels]
            assert held
            assert not [k.id for i, k in held if (k.main_loop, k.tail) in wrong[i.stage, i.tile]]
            answered = all(
                len(i.kernels) + len(i.facts.instead) == len(module.family.variants(i.tile))
                for i in module.instances
            )
            assert (module.name == module.stock_name) == (module.coverage == "full")
            assert answered or module.coverage != "full"


@pytest.mark.parametrize(
    ("tp", "variant"),
    [(1, (True, "even")), (2, (True, "even")), (4, (False, "even")), (8, (False, "odd"))],
)
def test_one_kernel_of_four_is_enough_for_a_known_k(tp: int, variant: tuple[bool, str]) -> None:
    plan = kimi_plan(tp=[tp])
    assert variants(plan, 1) == {(True, "even")}  # K is 7168: 28 steps of 256
    assert variants(plan, 2) == {variant}


def test_a_block_size_alone() -> None:
    plan = kimi_plan(tp=[2], block_m=[128])
    assert tiles(plan, 1) == tiles(plan, 2) == {"256x128x128x128"}


def test_everything_left_out_names_its_rule() -> None:
    plan = kimi_plan(tp=[2])
    (module,) = plan.modules
    left = {i.name: i.excluded for i in module.instances if not i.built}
    assert len(left) == 3
    assert {exclusion.rule for (exclusion,) in left.values()} == {"inter-dim"}
    assert all("1024" in exclusion.reason for (exclusion,) in left.values())
    assert all(kernel.why for i in module.built for kernel in i.kernels)


def test_the_same_shapes_give_the_same_module_and_others_another() -> None:
    names = [kimi_plan(tp=[tp]).modules[0].name for tp in (1, 2, 4)]
    assert names[0] == names[1] != names[2]


def test_shapes_that_the_tiles_cannot_divide_are_all_reported() -> None:
    recipe = kimi().model_copy(update={"moe_inter_dim": {2: 1000, 4: 520}})
    with pytest.raises(PlanError) as caught:
        make_plan([recipe])
    text = str(caught.value)
    assert "moe_inter_dim.2" in text
    assert "moe_inter_dim.4" in text
    assert "is not a multiple of" in text


def test_dtypes_of_no_family_are_an_error() -> None:
    recipe = kimi().model_copy(update={"activation_dtype": "i8"})
    with pytest.raises(PlanError, match="i8"):
        make_plan([recipe])


def test_a_named_kernel_has_to_exist() -> None:
    named = kimi().named_kernels[0].model_copy(update={"tile": "256x16x16x16_1x4_v3"})
    recipe = kimi().model_copy(update={"named_kernels": (named,)})
    with pytest.raises(PlanError, match="256x16x16x16_1x4_v3"):
        make_plan([recipe])


def test_recipes_of_the_same_features_share_a_module() -> None:
    other = kimi(tp=[8]).model_copy(update={"name": "other"})
    plan = make_plan([kimi(tp=[2]), other])
    (module,) = plan.modules
    assert module.recipes == ("kimi-k2.5-mxfp4", "other")
    assert len(module.built) == 10


def test_a_module_without_kernels_is_left_out_and_a_plan_without_modules_is_an_error() -> None:
    with pytest.raises(PlanError, match=f"{STOCK}: no call of the recipes takes a kernel of it"):
        kimi_plan(block_m=[33])
    recipes = load_recipes(
        find_recipes(["kimi-k2.5-mxfp4", "qwen3-235b-fp8-weight1"], PROJECT.recipes)
    )
    plan = make_plan([narrow(recipe, block_m=[16]) for recipe in recipes])
    assert {module.features.quant for module in plan.modules} == {"per_1x128"}
    assert [e.what for e in plan.exclusions if e.rule == "no-kernel"] == [STOCK]


def second() -> Generation:
    (first,) = load_contracts()
    return first.model_copy(update={"name": "later", "quant_types": {"per_1x32": 9}})


def test_contracts_that_the_same_code_meets_share_a_module() -> None:
    (first,) = load_contracts()
    renamed = first.model_copy(update={"name": "older", "endings": ("_",)})
    (module,) = make_plan([kimi()], contracts=[first, renamed]).modules
    assert module == replace(kimi_plan().modules[0], contracts=(first, renamed))


@pytest.mark.parametrize("coverage", ["deployed", "full"])
def test_a_contract_that_needs_other_code_gets_a_module_of_its_own(coverage: str) -> None:
    recipe = narrow(kimi(), coverage=coverage)
    one, two = make_plan([recipe], contracts=[*load_contracts(), second()]).modules
    assert one == make_plan([recipe]).modules[0]
    assert (two.stock_name, two.instances) == (one.stock_name, one.instances)
    assert two.name != one.name
    assert two.key != one.key
    assert [contract.name for contract in two.contracts] == ["later"]
