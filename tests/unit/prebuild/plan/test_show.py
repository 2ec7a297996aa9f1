from __future__ import annotations

import json

import pytest

from prebuild.plan.make import make_plan
from prebuild.plan.show import plan_as_json, plan_as_text
from prebuild.recipe.recipes import find_recipes, load_recipes
from tests.unit.prebuild.samples import PROJECT, STOCK, kimi_plan


def test_a_plan_says_what_is_in_and_out_and_why() -> None:
    text = plan_as_text(kimi_plan(tp=[2]), explain=True)
    assert f"served as {STOCK}" in text
    assert "TP 2 (inter_dim 1024): heuristic at block_m 128" in text
    assert "- inter-dim: taken for inter_dim <= 256" in text
    assert "- nomain_even: k-loop:" in text


def test_without_explain_only_the_names_stand_there() -> None:
    lines = plan_as_text(kimi_plan(coverage="full"), explain=False).splitlines()
    assert lines[0] == STOCK
    assert lines[1].startswith("  full: 10 of 10 instances, 37 kernels")
    assert not any("served as" in line for line in lines)  # it bears AITER's name itself
    assert sum(line.startswith("  + moe_ck2stages_gemm") for line in lines) == 10
    assert not any("heuristic" in line for line in lines)


def test_wrong_kernels_are_named_in_every_coverage() -> None:
    for plan in (kimi_plan(tp=[8]), kimi_plan(coverage="full")):
        text = plan_as_text(plan, explain=True)
        for kernel in ("main_even", "main_odd", "nomain_even"):
            assert f"      - {kernel}: wrong-numbers: the block pipeline reads" in text
        assert "      + nomain_odd: " in text


@pytest.mark.parametrize("explain", [True, False])
def test_a_module_that_the_ck_at_hand_lacks_is_one_clear_line(explain: bool) -> None:
    (recipe,) = load_recipes(find_recipes(["qwen3-235b-fp8-weight1"], PROJECT.recipes))
    lines = plan_as_text(make_plan([recipe]), explain=explain).splitlines()
    left = [line for line in lines if line.startswith("not planned: ")]
    assert len(left) == 2  # for weights with and without their mark
    assert all("_splitk: needs-newer-ck: split K needs" in line for line in left)
    assert lines[-2:] == left
    assert not any("not planned" in line for line in plan_as_text(
        kimi_plan(coverage="full"), explain=explain).splitlines())  # fmt: skip


def test_the_json_is_versioned_and_complete() -> None:
    found = json.loads(json.dumps(plan_as_json(kimi_plan(tp=[2]))))
    assert found["schema"] == 1
    (module,) = found["modules"]
    assert module["stock_name"] == STOCK
    assert {item["built"] for item in module["instances"]} == {True, False}
    assert set(found["recipes"]) == {"kimi-k2.5-mxfp4"}
    assert all(set(item) == {"what", "rule", "reason"} for item in found["exclusions"])
