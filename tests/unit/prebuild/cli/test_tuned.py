from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from prebuild.cli.tuned import _grouped, coverage, import_tuned
from prebuild.recipe.recipes import load_recipes
from prebuild.tuned.rows import TableError
from tests.unit.prebuild.samples import write_recipe
from tests.unit.prebuild.tuned.samples import STAGE1, STAGE2, row, write

app = typer.Typer()
app.command("import-tuned")(import_tuned)
app.command("coverage")(coverage)


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    return str(write_recipe(tmp_path / "r.yaml", moe_inter_dim={4: 512}))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_import_says_what_every_row_takes(tmp_path: Path, recipe: str) -> None:
    table = write(tmp_path / "t.csv", row(kernelName2=""), row(cu_num=80))
    result = run("import-tuned", str(table), "--recipe", recipe, "--all")
    assert result.exit_code == 0
    assert STAGE1 in result.stdout
    assert "t.csv:3: is for gfx942" in result.stdout
    assert "2  rows" in result.stdout.splitlines()[-1]


def test_rows_with_the_same_note_are_one_line() -> None:
    notes = ["t.csv:2: odd: very", "t.csv:3: other", "t.csv:9: odd: very", "u.csv:1: other"]
    assert list(_grouped(notes)) == [
        "t.csv:2 to 9 (2 rows): odd: very",
        "t.csv:3: other",
        "u.csv:1: other",
    ]


def test_import_as_json(tmp_path: Path, recipe: str) -> None:
    table = write(tmp_path / "t.csv", row(topk="x"), row(model_dim=4096))
    result = run("import-tuned", str(table), "--recipe", recipe, "--json")
    raw = json.loads(result.stdout)
    assert result.exit_code == 1
    assert raw["schema"] == 1
    assert len(raw["bad_rows"]) == len(raw["rows"]) == len(raw["recipes"]["missing"]) == 1


def test_import_writes_drafts(tmp_path: Path, recipe: str) -> None:
    table = write(tmp_path / "t.csv", row(model_dim=4096))
    out = tmp_path / "drafts"
    assert run("import-tuned", str(table), "--recipe", recipe, "--write", str(out)).exit_code == 1
    (drafted,) = load_recipes(sorted(out.iterdir()))
    assert run("coverage", "--csv", str(table), "--recipe", str(next(out.iterdir()))).exit_code == 0
    assert drafted.hidden_size == 4096


def test_coverage_tells_ci(tmp_path: Path, recipe: str) -> None:
    hit = write(tmp_path / "hit.csv", row(kernelName2=""))
    miss = write(tmp_path / "miss.csv", row(kernelName2="", inter_dim=2048))
    bad = write(tmp_path / "bad.csv", row(topk="?"))
    assert run("coverage", "--recipe", recipe).exit_code == 0
    assert run("coverage", "--csv", str(hit), "--recipe", recipe).exit_code == 0
    result = run("coverage", "--csv", str(miss), "--recipe", recipe)
    assert result.exit_code == 1
    assert "the kernel for K = 2048 is left out" in result.stdout
    assert run("coverage", "--csv", str(bad), "--recipe", recipe).exit_code == 1
    refused = write(tmp_path / "refused.csv", row(kernelName2="", inter_dim=384))
    assert run("coverage", "--csv", str(refused), "--recipe", recipe).exit_code == 9


def test_coverage_counts_rows_for_an_aiter_without_flydsl_when_asked(
    tmp_path: Path, recipe: str
) -> None:
    table = write(
        tmp_path / "t.csv", row(kernelName2="", inter_dim=2048, _tag="flydsl_fallback")
    )  # fmt: skip
    arguments = ["coverage", "--csv", str(table), "--recipe", recipe]
    assert run(*arguments).exit_code == 0
    assert run(*arguments, "--fallback").exit_code == 1


def test_coverage_of_the_production_wheel(tmp_path: Path, recipe: str) -> None:
    small = STAGE2.replace("256x32x128x128_1x4", "64x64x128x128_1x1")
    table = write(tmp_path / "t.csv", row(kernelName2=small))
    arguments = ["coverage", "--csv", str(table), "--recipe", recipe]
    assert run(*arguments).exit_code == 1
    assert run(*arguments, "--coverage", "full").exit_code == 0


def test_coverage_as_json(recipe: str) -> None:
    raw = json.loads(run("coverage", "--recipe", recipe, "--json").stdout)
    assert raw["schema"] == 3
    assert raw["summary"]["compiles"] == 0
    assert raw["points"]


def test_a_table_that_cannot_be_read_is_an_error(tmp_path: Path, recipe: str) -> None:
    result = run("import-tuned", str(tmp_path / "none.csv"), "--recipe", recipe)
    assert isinstance(result.exception, TableError)
    assert result.exception.exit_code == 3
