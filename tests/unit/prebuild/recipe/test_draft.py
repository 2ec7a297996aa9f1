from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.plan.make import make_plan
from prebuild.recipe.draft import as_yaml, draft
from prebuild.recipe.recipes import RecipeError, load_recipes
from tests.unit.aiter_prebuilt.choice.test_model import DEEPSEEK, MIXTRAL, write


def test_a_draft_is_a_recipe_that_plans(tmp_path: Path) -> None:
    recipe, left_out = draft(write(tmp_path, DEEPSEEK), quant=None, tp=(1, 8), fused=True)
    assert left_out == ()
    assert recipe.moe_inter_dim == {1: 2048, 8: 256}
    assert (recipe.experts, recipe.top_k) == (257, 9)
    assert recipe.preshuffle == (True, False)
    path = tmp_path / "draft.yaml"
    path.write_text(as_yaml(recipe, "A draft."))
    assert load_recipes([path]) == (recipe,)
    assert make_plan([recipe]).modules


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    recipe, left_out = draft(write(tmp_path, DEEPSEEK), quant=None, tp=(1, 3))
    assert list(recipe.moe_inter_dim) == [1]
    assert any("TP 3 is left out" in line for line in left_out)
    assert any("shared" in line for line in left_out)


def test_the_callers_quantisation_wins(tmp_path: Path) -> None:
    recipe, _ = draft(write(tmp_path, DEEPSEEK), quant="mxfp4", tp=(2,))
    assert (recipe.weight_dtype, recipe.quant, recipe.preshuffle) == ("fp4x2", "per_1x32", True)


def test_one_that_is_not_known_has_to_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, {**MIXTRAL, "quantization_config": {"quant_method": "awq"}})
    with pytest.raises(RecipeError, match="name it: mxfp4"):
        draft(path, quant=None, tp=(1,))


@pytest.mark.parametrize("name", ["org/Mod\u00e8le", "Stra\u00dfe", "x/\u901a\u4e49-7"])
def test_a_name_of_other_letters_becomes_one_of_ours(name: str, tmp_path: Path) -> None:
    recipe, _ = draft(write(tmp_path, {**MIXTRAL, "_name_or_path": name}), quant="bf16", tp=(1,))
    assert recipe.name.isascii()


def test_sizes_that_no_recipe_may_have_are_an_error_of_ours(tmp_path: Path) -> None:
    path = write(tmp_path, {**MIXTRAL, "hidden_size": 2**31})
    with pytest.raises(RecipeError, match="hidden_size"):
        draft(path, quant="bf16", tp=(1,))


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="TP 3 is left out"):
        draft(write(tmp_path, MIXTRAL), quant=None, tp=(3,))
