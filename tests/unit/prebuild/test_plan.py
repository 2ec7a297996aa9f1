from __future__ import annotations

import pytest

from prebuild.model import Plan
from prebuild.plan import PlanError, make_plan
from tests.unit.prebuild.samples import STOCK, kimi, kimi_plan

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


def test_full_coverage_is_aiters_module() -> None:
    (module,) = kimi_plan(coverage="full").modules
    assert module.name == module.stock_name == STOCK
    assert len(module.built) == 10
    assert all(len(instance.kernels) == 4 for instance in module.built)


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
