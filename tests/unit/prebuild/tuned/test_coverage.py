from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from prebuild.plan.make import PlanError, make_plan
from prebuild.recipe.recipes import Recipe
from prebuild.tuned.coverage import Point, as_json, as_text, cover, recipe_uses
from prebuild.tuned.rows import read_tables
from prebuild.tuned.uses import heuristic_uses, judge
from tests.unit.prebuild.samples import kimi
from tests.unit.prebuild.tuned.samples import STAGE2, blockscale, row, write


def points(tmp_path: Path, recipes: list[Recipe], *rows: dict[str, Any]) -> tuple[Point, ...]:
    entries = read_tables([write(tmp_path / "t.csv", *rows)]).entries
    uses = [use for verdict in judge(entries) for use in verdict.uses]
    return cover(make_plan(recipes), uses)


def fp8(**changes: Any) -> Recipe:
    raw = {
        "schema": 1, "name": "fp8", "model": "m", "hidden_size": 7168, "moe_inter_dim": {4: 512},
        "experts": 384, "top_k": 8, "activation_dtype": "f8", "weight_dtype": "f8",
        "quant": "per_1x128", "activation": "silu", **changes,
    }  # fmt: skip
    return Recipe.model_validate(raw)


def test_a_planned_row_is_a_hit(tmp_path: Path) -> None:
    found = points(tmp_path, [kimi(tp=[4])], row())
    assert [point.status for point in found] == ["hit", "hit"]


def test_a_row_that_no_recipe_plans_is_a_miss(tmp_path: Path) -> None:
    found = points(tmp_path, [kimi(tp=[4])], blockscale(token=16))
    assert {(point.status, point.why) for point in found} == {
        ("miss", "no recipe asks for the module")
    }


def test_an_instance_left_out_is_a_miss(tmp_path: Path) -> None:
    small = {"kernelName2": "", "block_m": 64, "inter_dim": 256}
    first, second = points(tmp_path, [kimi(tp=[4])], row(**small))
    assert (first.status, second.status) == ("hit", "miss")
    assert second.why == "the instance is left out"


def test_a_kernel_left_out_is_a_miss(tmp_path: Path) -> None:
    found = points(tmp_path, [kimi(tp=[4])], row(inter_dim=2048))
    assert [point.status for point in found] == ["hit", "miss"]
    assert found[1].why == "the kernel for K = 2048 is left out"


def test_what_aiter_refuses_is_no_miss(tmp_path: Path) -> None:
    rows = [row(inter_dim=384), row(block_m=16, kernelName1="", kernelName2="")]
    found = points(tmp_path, [kimi(tp=[4])], *rows)
    assert [point.status for point in found] == ["hit", "refused", "refused", "refused"]
    assert found[1].why.startswith("K = 384 is not a multiple of 256")
    assert "no instance for block_m 16" in found[2].why


def test_what_the_ck_at_hand_lacks_is_unavailable(tmp_path: Path) -> None:
    rows = [blockscale(ksplit=4) | {"block_m": 16}]
    found = points(tmp_path, [fp8()], *rows)
    assert [point.status for point in found] == ["unavailable", "hit"]
    assert "IsSplitK" in found[0].why


def test_split_k_counts_where_the_composable_kernel_has_it() -> None:
    ck = frozenset({"split-k"})
    # 7168 values of K are 28 steps: 14 parts leave two each; 4096 in 16 parts leave one.
    for sizes, statuses in (
        ({"moe_inter_dim": {8: 256}}, {"hit"}),
        ({"moe_inter_dim": {8: 128}, "hidden_size": 4096, "top_k": 10}, {"hit", "wrong"}),
    ):
        recipe = fp8(**sizes)
        found = cover(make_plan([recipe], ck), recipe_uses([recipe]), ck)
        split = [point for point in found if point.use.call.features.splitk]
        assert {point.status for point in split} == statuses
        assert {point.use.call.parts > 1 for point in split} == {True}
        assert all("AITER_KSPLIT=-1" in point.why for point in split if point.status == "wrong")


def test_every_heuristic_call_of_a_recipe_is_a_hit_in_its_own_plan() -> None:
    for recipe in (kimi(), fp8(), fp8(quant="per_token", output_dtypes=["f16", "b16"])):
        found = cover(make_plan([recipe]), recipe_uses([recipe]))
        assert {point.status for point in found} <= {"hit", "unavailable"}
        assert any(point.status == "hit" for point in found)


KINDS = [
    {"activation_dtype": a, "weight_dtype": w, "quant": quant, "output_dtypes": [out]}
    for a, w, quant, out in (
        ("fp4x2", "fp4x2", "per_1x32", "b16"),
        ("f8", "f8", "per_1x128", "b16"),
        ("f8", "f8", "per_1x128", "f16"),
        ("f8", "f8", "per_token", "b16"),
        ("f8", "f8", "per_tensor", "f16"),
        ("b16", "b16", "no", "b16"),
        ("f8", "i4", "per_token", "b16"),
    )
]


@st.composite
def deployments(draw: st.DrawFn) -> tuple[Recipe, int]:
    """A recipe whose shapes every tile divides, and a token count of its range."""
    low, high = sorted((draw(st.integers(1, 131_072)), draw(st.integers(1, 131_072))))
    recipe = fp8(
        **draw(st.sampled_from(KINDS)),
        hidden_size=512 * draw(st.integers(1, 14)),
        moe_inter_dim={1: 256 * draw(st.integers(1, 8))},
        experts=draw(st.integers(8, 513)),
        top_k=draw(st.integers(1, 8)),
        tokens={"min": low, "max": high},
        routed_weight_stage=draw(st.sampled_from([1, 2])),
        preshuffle=draw(st.booleans()),
    )
    return recipe, draw(st.integers(low, high))


@settings(max_examples=150, deadline=None)
@given(deployment=deployments())
def test_deployed_coverage_holds_for_any_token_count(deployment: tuple[Recipe, int]) -> None:
    recipe, tokens = deployment
    try:
        plan = make_plan([recipe])
    except PlanError:  # every call goes to another back end: no module has a kernel to hold
        assert recipe_uses([recipe]) == ()
        return
    for features in recipe.features():
        (whole,) = recipe.deployments(features)
        found = cover(plan, heuristic_uses("call", features, whole.shape, (tokens, tokens)))
        assert {point.status for point in found} <= {"hit", "unavailable"}


def test_a_narrower_plan_misses_heuristic_calls() -> None:
    whole, narrow = kimi(tp=[2]), kimi(tp=[2], block_m=[128])
    found = cover(make_plan([narrow]), recipe_uses([whole]))
    assert {point.use.call.block_m for point in found if point.status == "miss"} == {32, 64}


def test_the_report_counts_each_point_once(tmp_path: Path) -> None:
    found = points(tmp_path, [kimi(tp=[4])], row(), row(inter_dim=2048))
    raw = as_json(found)
    assert raw["schema"] == 2
    assert raw["summary"] == {"hit": 3, "miss": 1, "refused": 0, "unavailable": 0, "wrong": 0}
    text = as_text(found, every=False)
    assert text.count("t.csv:") == 1
    assert as_text(found, every=True).count("t.csv:") == 4
    assert text.splitlines()[-1].split() == ["3", "1", "0", "0", "0", "all"]


def test_a_row_that_names_a_wrong_kernel_is_a_hit_of_the_one_that_answers_for_it(
    tmp_path: Path,
) -> None:
    name = STAGE2.replace("256x32x128x128_1x4", "64x32x32x128_1x1").replace("_v3_", "_v1_")
    for coverage in ("deployed", "full"):
        found = points(tmp_path, [kimi(tp=[4], coverage=coverage)], row(kernelName2=name))
        assert [point.status for point in found] == ["hit", "hit"]
        assert "256x32x128x128" in (found[1].use.instance or "")
    odd = points(tmp_path, [kimi(tp=[4])], row(kernelName2=name, model_dim=7168 + 32))
    assert [point.status for point in odd] == ["refused", "wrong"]
    assert "in flight" in odd[1].why
    assert "wrong" in as_text(odd, every=False).splitlines()[0]
    assert as_json(odd)["summary"]["wrong"] == 1
    right = points(tmp_path, [kimi(tp=[8])], row(kernelName2=name, inter_dim=256, block_m=32))
    assert [point.status for point in right] == ["hit", "hit"]
