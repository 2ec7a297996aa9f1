from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.generations import load
from prebuild.aiter import reach
from prebuild.aiter.reach import CALLS, PLACES, Reach
from prebuild.core.project import Project
from prebuild.recipe.recipes import Recipe, find_recipes, load_recipes, narrow
from tests.unit.prebuild.samples import kimi
from tests.unit.prebuild.tuned.samples import FLYDSL, row, write

RECIPES = load_recipes(find_recipes((), Project.here().recipes))
OLD, NEW = "v0.1.15", "v0.1.19.post1"


def counts(folder: Path, recipe: Recipe, generation: str, *rows: dict[str, Any]) -> Any:
    """By FlyDSL or not, then by tensor-parallel size."""
    configs = Path(tempfile.mkdtemp(dir=folder))  # tables are read once a path
    write(configs / "tuned_fmoe.csv", *rows)
    found = reach.reach("v9", load().generations[generation], configs, [recipe])
    return {each.flydsl: each.counts for each in found}


def test_the_data_file_is_what_its_writer_writes() -> None:
    assert reach.as_text(reach.load()) == reach.FILE.read_text()


def test_no_count_is_stale_and_no_release_is_left_out() -> None:
    """Else: ``prebuild aiter --repo PATH --write``."""
    current = reach.merged(reach.load(), [], load(), RECIPES)
    counted = {each.recipe for each in reach.load()}
    assert len(current) == len(reach.load()) == len(counted) * len(load().releases) * 2
    sizes = {recipe.name: recipe.moe_inter_dim.keys() for recipe in RECIPES}
    assert all(each.counts.keys() == sizes[each.recipe] for each in current)


def test_every_call_is_somewhere() -> None:
    for each in reach.load():
        for found in each.counts.values():
            assert sum(found.values()) == CALLS
            assert list(found) == [place for place in PLACES if place in found]


def test_the_heuristic_alone(tmp_path: Path) -> None:
    one = narrow(kimi(), tp=[4])
    old, new = (counts(tmp_path, one, name) for name in (OLD, NEW))
    assert old[True] == old[False] == new[False] == {4: {"ck2stages": 30, "cktile": 6}}
    assert new[True] == {4: {"flydsl": 36}}


def test_a_row_comes_first(tmp_path: Path) -> None:
    one = narrow(kimi(), tp=[4])
    mixed = row(kernelName2=FLYDSL)
    old, new = (counts(tmp_path, one, name, mixed) for name in (OLD, NEW))
    assert old[True] == {4: {"ck2stages": 29, "flydsl": 1, "cktile": 6}}
    assert old[False] == {4: {"ck2stages": 30, "cktile": 6}}
    assert new[True] == {4: {"ck2stages": 1, "flydsl": 35}}
    taken_by_flydsl = counts(tmp_path, one, NEW, row(kernelName1=FLYDSL, kernelName2=FLYDSL))
    assert taken_by_flydsl[False] == {4: {"ck2stages": 28, "cktile": 6, "raises": 2}}


def test_what_a_tile_does_not_divide_is_no_call_that_ck2stages_runs(tmp_path: Path) -> None:
    (glm,) = (recipe for recipe in RECIPES if recipe.name == "glm-4.7-fp8")
    assert counts(tmp_path, narrow(glm, tp=[4]), OLD)[True][4]["raises"] == 5


def test_split_k_is_another_module(tmp_path: Path) -> None:
    (fp8,) = (recipe for recipe in RECIPES if recipe.name == "deepseek-v3-fp8")
    assert counts(tmp_path, narrow(fp8, tp=[8]), NEW)[True][8]["split-k"] == 4


def test_without_a_table_every_call_raises(tmp_path: Path) -> None:
    found = reach.reach("v9", load().newest, tmp_path, [narrow(kimi(), tp=[8])])
    assert {str(each.counts) for each in found} == {"{8: {'raises': 36}}"}


@pytest.mark.parametrize(
    "recipe", [each for each in RECIPES if len(each.features()) > 1], ids=lambda each: each.name
)
def test_a_mark_of_the_weights_changes_no_way(recipe: Recipe, tmp_path: Path) -> None:
    marks = [recipe.model_copy(update={"preshuffle": mark}) for mark in (True, False)]
    for name in (OLD, NEW):
        assert counts(tmp_path, marks[0], name) == counts(tmp_path, marks[1], name)


def test_newer_counts_take_the_place_of_older_ones() -> None:
    recipes = [kimi()]
    tags = [release.tag for release in load().releases]
    one = Reach(
        recipe=kimi().name, layer=reach.layer_of(kimi()), release=tags[3], flydsl=True, counts={}
    )
    new = dataclasses.replace(one, counts={1: {"asm": 36}})
    first = dataclasses.replace(one, release=tags[0])
    assert reach.merged([one], [new, first], load(), recipes) == (first, new)
    for other in (
        dataclasses.replace(one, recipe="gone"),
        dataclasses.replace(one, release="v9"),
        dataclasses.replace(one, layer="of other sizes"),
    ):
        assert reach.merged([other], [], load(), recipes) == ()


def test_written_and_read_again() -> None:
    assert reach.parse(json.loads(reach.as_text(reach.load()))) == reach.load()
