from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml

from aiter_prebuilt.kinds import ACTIVATIONS, QUANTISATIONS, dtypes
from prebuild.families import find_family, load_families
from prebuild.recipe.recipes import (
    Activation,
    Dtype,
    Quant,
    RecipeError,
    find_recipes,
    json_schema,
    load_recipes,
    narrow,
)
from tests.unit.prebuild.samples import PROJECT, kimi, write_recipe


def test_every_recipe_of_the_project_is_good_and_fits_the_schema() -> None:
    paths = find_recipes([], PROJECT.recipes)
    assert len(load_recipes(paths)) == len(paths) > 0
    for path in paths:
        raw = yaml.safe_load(path.read_text())
        # JSON has text keys only; YAML's whole numbers are what the model reads.
        raw["moe_inter_dim"] = {str(key): value for key, value in raw["moe_inter_dim"].items()}
        jsonschema.validate(raw, json_schema())


def test_kimi_is_the_deployment_of_the_issue() -> None:
    recipe = kimi()
    assert (recipe.hidden_size, recipe.experts, recipe.top_k) == (7168, 384, 8)
    assert recipe.moe_inter_dim == {1: 2048, 2: 1024, 4: 512, 8: 256}


def test_every_family_has_a_recipe() -> None:
    recipes = load_recipes(find_recipes([], PROJECT.recipes))
    found = [find_family(features) for recipe in recipes for features in recipe.features()]
    assert {family.name for family in found if family} == set(load_families())
    assert all(recipe.source for recipe in recipes)


@pytest.mark.parametrize(
    ("preshuffle", "marks"),
    [(None, [True]), (False, [False]), ([True, False], [True, False]), ([False, False], [False])],
)
def test_one_module_for_each_way_in_which_servers_mark_weights(
    preshuffle: object, marks: list[bool], tmp_path: Path
) -> None:
    path = write_recipe(tmp_path / "r.yaml", preshuffle=preshuffle, output_dtypes=["b16", "f16"])
    (recipe,) = load_recipes([path])
    found = [(key.c_dtype, key.preshuffle) for key in recipe.features()]
    assert found == [(output, mark) for output in ("b16", "f16") for mark in marks]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hiden_size": 1}, ["hiden_size: unknown key", "hidden_size"]),
        ({"weight_dtype": "fp3"}, ["weight_dtype: found 'fp3'", "'fp4x2'"]),
        ({"experts": None}, ["experts: missing"]),
        ({"experts": 0}, ["experts: found 0", "greater than 0"]),
        ({"top_k": 500}, ["top_k is 500, more than experts (384)"]),
        ({"tokens": {"min": 9, "max": 3}}, ["tokens", "min is 9, more than max (3)"]),
        ({"moe_inter_dim": {}}, ["moe_inter_dim"]),
        ({"moe_inter_dim": {"two": 1024}}, ["moe_inter_dim.two"]),
        ({"schema": 2}, ["schema: found 2"]),
        ({"preshuffle": []}, ["preshuffle"]),
        ({"preshuffle": ["maybe"]}, ["preshuffle"]),
        (
            {"named_kernels": [{"stage": 3, "tile": "x", "inter_dims": []}]},
            ["named_kernels.0.tile"],
        ),
    ],
)
def test_a_wrong_recipe_is_one_clear_error(
    tmp_path: Path, changes: dict[str, Any], expected: list[str]
) -> None:
    path = write_recipe(tmp_path / "wrong.yaml", **changes)
    with pytest.raises(RecipeError) as caught:
        load_recipes([path])
    assert all(str(path) in problem for problem in caught.value.problems)
    for text in expected:
        assert text in str(caught.value)


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    first = write_recipe(tmp_path / "a.yaml", experts="many", quant="none", name=None)
    second = tmp_path / "b.yaml"
    second.write_text("[not, a, mapping")
    third = tmp_path / "missing.yaml"
    fourth = tmp_path / "c.yaml"
    fourth.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError) as caught:
        load_recipes([first, second, third, fourth])
    assert len(caught.value.problems) == 6
    assert caught.value.exit_code == 3


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = [write_recipe(tmp_path / name) for name in ("a.yaml", "b.yaml")]
    with pytest.raises(RecipeError, match="two recipes are named test"):
        load_recipes(paths)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(RecipeError, match=r"no such recipe; there are .*kimi-k2\.5-mxfp4"):
        find_recipes(["kimi"], PROJECT.recipes)


def test_narrowing_keeps_the_rest_and_refuses_what_is_not_there() -> None:
    recipe = kimi()
    narrowed = narrow(recipe, tp=[2], coverage="full")
    assert narrowed.moe_inter_dim == {2: 1024}
    assert narrowed.coverage == "full"
    assert narrowed.experts == recipe.experts
    with pytest.raises(RecipeError, match="has sizes 1, 2, 4, 8"):
        narrow(recipe, tp=[3, 5])


def test_the_digest_ignores_comments_and_order_but_not_content(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "a.yaml")
    (one,) = load_recipes([path])
    path.write_text(
        "# comment\n"
        + "\n".join(reversed(path.read_text().splitlines())).replace(
            "  2: 1024\nmoe_inter_dim:", "moe_inter_dim:\n  2: 1024"
        )
    )
    (same,) = load_recipes([path])
    (other,) = load_recipes([write_recipe(tmp_path / "b.yaml", experts=385)])
    assert one.digest() == same.digest() != other.digest()


def test_a_recipe_may_use_every_word_that_the_tables_have() -> None:
    assert set(get_args(Dtype)) == set(dtypes())
    assert set(get_args(Activation)) == set(ACTIVATIONS)
    # per_128x128 is another word for a module of per_1x128.
    assert set(get_args(Quant)) == {each.module for each in QUANTISATIONS.values()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"experts": "384"}, "experts: found '384'"),
        ({"experts": 2**63}, "experts: found 9223372036854775808"),
        ({"moe_inter_dim": {"2": 1024}}, "moe_inter_dim"),
        ({"hidden_size": 7168.0}, "hidden_size: found 7168.0"),
    ],
)
def test_a_number_is_a_whole_number_of_32_bits(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipes([write_recipe(tmp_path / "r.yaml", **changes)])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["model: 2026-02-30", "? [a, b]\n: 1", "a: !!bool abc", "a: !!int abc", "[" * 5000],
    ids=["date", "list as key", "bool", "int", "deep"],
)
def test_what_yaml_cannot_build_is_an_error_of_ours(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"r\.yaml: is not YAML"):
        load_recipes([path])


def test_a_key_that_stands_there_twice_is_an_error(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "r.yaml")
    path.write_text(path.read_text() + "experts: 8\n")
    with pytest.raises(RecipeError, match="'experts' stands there twice"):
        load_recipes([path])
