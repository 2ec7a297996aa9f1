from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from prebuild.plan.make import make_plan
from prebuild.recipe.draft import as_yaml
from prebuild.recipe.recipes import NamedKernel, Recipe, load_recipes
from prebuild.tuned.compare import Comparison, as_json, as_lines, compare, draft
from prebuild.tuned.coverage import cover
from prebuild.tuned.rows import read_tables
from prebuild.tuned.uses import judge
from tests.unit.prebuild.samples import kimi
from tests.unit.prebuild.tuned.samples import FLYDSL, STAGE1, STAGE2, blockscale, row, write


def comparison(
    tmp_path: Path, recipes: list[Recipe], *rows: dict[str, Any], fallback: bool = False
) -> Comparison:
    entries = read_tables([write(tmp_path / "t.csv", *rows)]).entries
    return compare(recipes, judge(entries), fallback=fallback)


def bare(**changes: Any) -> Recipe:
    return kimi(tp=[4]).model_copy(update={"named_kernels": (), **changes})


def test_rows_that_the_recipe_has(tmp_path: Path) -> None:
    found = comparison(tmp_path, [bare()], row())
    assert found.clean
    assert as_lines(found) == []


def test_a_missing_recipe_can_be_drafted_and_its_plan_answers_the_rows(tmp_path: Path) -> None:
    named = row(model_dim=4096, inter_dim=256, expert=512, topk=10)
    found = comparison(tmp_path, [kimi()], named, row(model_dim=4096, expert=512, topk=10))
    (missing,) = found.missing
    assert (missing.model_dim, missing.inter_dims, missing.rows) == (4096, (512, 256), 2)
    assert "missing recipe: fp4x2 x fp4x2 -> b16, per_1x32" in as_lines(found)[0]
    path = tmp_path / "draft.yaml"
    path.write_text(as_yaml(draft(missing), "A draft."))
    (recipe,) = load_recipes([path])
    assert dict(recipe.moe_inter_dim) == {1: 512, 2: 256}
    assert (recipe.experts, recipe.top_k) == (512, 10)
    entries = read_tables([tmp_path / "t.csv"]).entries
    uses = [use for verdict in judge(entries) for use in verdict.uses]
    assert {point.status for point in cover(make_plan([recipe]), uses)} == {"hit"}
    assert yaml.safe_load(path.read_text())["schema"] == 1


def test_a_named_kernel_that_the_recipe_lacks(tmp_path: Path) -> None:
    name = STAGE1.replace("256x128x", "256x32x")
    found = comparison(tmp_path, [bare()], row(kernelName1=name))
    assert [(n, k.text) for n, k in found.lacking] == [
        ("kimi-k2.5-mxfp4", "stage 1 256x32x128x128_1x4_v3 at inter_dim 512")
    ]


def test_a_named_kernel_whose_rows_moved_to_another_back_end(tmp_path: Path) -> None:
    named = NamedKernel(stage=1, tile="256x32x128x128_1x4_v3", inter_dims=(512, 256))
    recipe = kimi(tp=[4]).model_copy(update={"named_kernels": (named,)})
    found = comparison(tmp_path, [recipe], row(kernelName1=FLYDSL))
    assert [kernel.inter_dim for _, kernel in found.stale] == [512]  # no row is about 256


def test_a_recipe_of_which_nothing_reaches_ck2stages(tmp_path: Path) -> None:
    # One-stage assembly takes block scales above 32 tokens, and the rows are another's.
    recipe = bare(
        name="dead", activation_dtype="f8", weight_dtype="f8", quant="per_1x128",
        tokens=kimi().tokens.model_copy(update={"min": 64}),
    )  # fmt: skip
    found = comparison(tmp_path, [recipe, kimi()], row(kernelName1=FLYDSL, kernelName2=FLYDSL))
    assert found.dead == ("dead",)
    assert "recipe dead: nothing of it comes to CK2stages" in as_lines(found)


def test_rows_for_an_aiter_without_flydsl_ask_for_nothing_unless_wanted(tmp_path: Path) -> None:
    name = STAGE1.replace("256x128x", "256x32x")
    rows = [row(kernelName1=name, _tag="flydsl_fallback")]
    assert comparison(tmp_path, [bare()], *rows).clean
    assert comparison(tmp_path, [bare()], *rows, fallback=True).lacking


def test_split_k_rows_do_not_ask_for_what_cannot_be_built(tmp_path: Path) -> None:
    found = comparison(tmp_path, [bare()], blockscale(ksplit=4) | {"kernelName2": FLYDSL})
    assert not found.missing


def test_json_holds_every_finding(tmp_path: Path) -> None:
    raw = as_json(comparison(tmp_path, [bare()], row(model_dim=4096), row(kernelName2=STAGE2)))
    assert [item["model_dim"] for item in raw["missing"]] == [4096]
    assert set(raw) == {"missing", "lacking", "stale", "dead"}


def test_no_recipe_is_asked_to_name_a_kernel_that_no_module_may_hold(tmp_path: Path) -> None:
    name = STAGE2.replace("256x32x128x128_1x4", "64x32x32x128_1x1").replace("_v3_", "_v1_")
    # The heuristic takes what answers for it.
    assert comparison(tmp_path, [bare()], row(kernelName2=name)).clean
    (missing,) = comparison(tmp_path, [bare()], row(kernelName2=name, model_dim=4096)).missing
    assert [k.tile for k in missing.kernels if k.stage == 2] == ["256x32x128x128_1x4_v3"]
    small = row(kernelName2=name, inter_dim=256, block_m=64)
    (missing,) = comparison(tmp_path, [bare()], small).missing  # there it is right
    assert "64x32x32x128_1x1_v1" in {kernel.tile for kernel in missing.kernels}
