"""``prebuild plan``, ``generate``, ``check`` and ``schema``: what needs no compiler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from prebuild.core import console
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.plan.make import make_plan
from prebuild.plan.show import plan_as_json, plan_as_text
from prebuild.recipe.recipes import Coverage, Recipe, json_schema
from prebuild.toolchain import ck_abilities
from prebuild.wheel.config import configured_recipes, parse_config

RecipeNames = Annotated[list[str], typer.Argument(help="Names or files; all recipes if none.")]
TpSizes = Annotated[
    list[str] | None, typer.Option("--tp", metavar="N,N", help="Only these TP sizes.")
]
BlockMs = Annotated[
    list[str] | None, typer.Option("--block-m", metavar="N,N", help="Only these block sizes.")
]
CoverageOption = Annotated[Coverage | None, typer.Option(help="Instead of the recipe's own.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")]


def plan(
    recipes: RecipeNames = [],  # noqa: B006  typer wants the default itself
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
    as_json: JsonFlag = False,
    explain: Annotated[bool, typer.Option(help="Say why each thing is in or out.")] = False,
) -> None:
    """Print modules, instances and kernels; nothing is built."""
    made = make_plan(chosen_recipes(recipes, tp, block_m, coverage), ck_abilities(Settings.here()))
    if as_json:
        typer.echo(json.dumps(plan_as_json(made), indent=1))
    else:
        typer.echo(plan_as_text(made, explain=explain))


def generate(
    recipes: Annotated[list[str], typer.Argument(help="Names or files.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
) -> None:
    """Write the sources of a plan's modules."""
    from prebuild.generate import fileset
    from prebuild.generate.sources import generate as generate_sources

    project = Project.here()
    made = make_plan(chosen_recipes(recipes, tp, block_m, coverage), ck_abilities(Settings.here()))
    sources = generate_sources(made, project.templates)
    written = fileset.write(sources, out)
    typer.echo(f"{len(sources)} files below {out} ({len(written)} written, the rest unchanged)")


def schema() -> None:
    """Print the JSON schema of recipe files."""
    typer.echo(json.dumps(json_schema(), indent=1))


def check(recipes: RecipeNames = []) -> None:  # noqa: B006
    """Read recipes and plan them; print every problem of every file."""
    found = chosen_recipes(recipes, None, None, None)
    make_plan(found, ck_abilities(Settings.here()))
    names = ", ".join(recipe.name for recipe in found)
    console.say(f"{len(found)} recipes are good: {names}", console.out)


def chosen_recipes(
    names: list[str],
    tp: list[str] | None,
    block_m: list[str] | None,
    coverage: Coverage | None,
) -> tuple[Recipe, ...]:
    """The recipes of a command line, narrowed as its options say."""
    given = {"recipe": names, "tp": tp or [], "block-m": block_m or []}
    chosen = parse_config({**given, **({"coverage": coverage} if coverage else {})})
    return configured_recipes(chosen, Project.here())
