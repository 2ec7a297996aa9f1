"""``prebuild import-tuned`` and ``prebuild coverage``; the program mounts both functions.

Exit status of ``import-tuned``: 1 where something is missing or stale, of ``coverage`` that of its
worst reading; of both 1 where a row cannot be understood, 3 where a table or recipe cannot be read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from aiter_prebuilt.choice import verdict
from aiter_prebuilt.choice.tuned import FALLBACK
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.plan.make import make_plan
from prebuild.recipe.draft import as_yaml
from prebuild.recipe.recipes import Coverage, Recipe, find_recipes, load_recipes, narrow
from prebuild.toolchain import ck_abilities
from prebuild.tuned import compare
from prebuild.tuned import coverage as cover
from prebuild.tuned.rows import Table, read_tables
from prebuild.tuned.uses import Reading, read

SCHEMA = 1
FOUND = 1
_COMMENT = "Draft of prebuild import-tuned: give it its name, model and source."

Json = Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")]
Fallback = Annotated[bool, typer.Option(help="Count rows for AITER without FlyDSL.")]
Recipes = Annotated[list[str], typer.Option("--recipe", help="Names or files; all if none.")]


def import_tuned(
    tables: Annotated[list[Path], typer.Argument(help="AITER's tuned or untuned fMoE tables.")],
    recipe: Recipes = [],  # noqa: B006  typer wants the default itself
    write: Annotated[
        Path | None, typer.Option(help="Write drafts of missing recipes here.")
    ] = None,
    fallback: Fallback = False,
    every: Annotated[bool, typer.Option("--all", help="A line for every row.")] = False,
    as_json: Json = False,
) -> None:
    """Say what rows of AITER's tables ask of CK2stages, and where recipes differ from them."""
    recipes = _recipes(recipe)
    table = read_tables(tables)
    readings = read(table.entries)
    found = compare.compare(recipes, readings, fallback=fallback)
    if write is not None:
        _write(write, found.missing)
    if as_json:
        typer.echo(json.dumps(_import_json(table, readings, found), indent=1))
    else:
        typer.echo("\n".join(_import_lines(table, readings, found, every=every)))
    raise typer.Exit(0 if found.clean and not table.bad else FOUND)


def coverage(
    csv: Annotated[list[Path], typer.Option("--csv", help="AITER's fMoE tables.")] = [],  # noqa: B006
    recipe: Recipes = [],  # noqa: B006
    fallback: Fallback = False,
    every: Annotated[bool, typer.Option("--all", help="A line for every point.")] = False,
    as_json: Json = False,
    planned: Annotated[
        Coverage | None, typer.Option("--coverage", help="Instead of the recipes' own.")
    ] = None,
) -> None:
    """Say whether the recipes' plan answers each row of the tables and each heuristic call."""
    recipes = tuple(narrow(item, coverage=planned) for item in _recipes(recipe))
    ck = ck_abilities(Settings.here())
    plan = make_plan(recipes, ck)
    table = read_tables(csv)
    uses = [
        use
        for reading in read(table.entries)
        for use in reading.uses
        if fallback or reading.entry.row.tag != FALLBACK
    ]
    points = cover.cover(plan, [*uses, *cover.recipe_uses(recipes)], ck)
    if as_json:
        typer.echo(json.dumps({**cover.as_json(points), "bad_rows": table.bad}, indent=1))
    else:
        typer.echo("\n".join([*table.bad, cover.as_text(points, every=every)]))
    worst = verdict.exit_code(point.verdict for point in points)
    raise typer.Exit(max(worst, FOUND if table.bad else 0))


def _recipes(names: Sequence[str]) -> tuple[Recipe, ...]:
    return load_recipes(find_recipes(names, Project.here().recipes))


def _write(directory: Path, missing: Sequence[compare.Missing]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for number, item in enumerate(missing, start=1):
        recipe = compare.draft(item)
        path = directory / f"{number:02}-{recipe.name}.yaml"
        path.write_text(as_yaml(recipe, _COMMENT), encoding="utf-8")
        typer.echo(f"wrote {path}", err=True)
        for dim in compare.dropped(item):
            text = f"left out inter_dim {dim}, which is no part of {item.inter_dims[0]}"
            typer.echo(f"  {text}: it needs a recipe of its own", err=True)


def _import_lines(
    table: Table, readings: Sequence[Reading], found: compare.Comparison, *, every: bool
) -> list[str]:
    lines = [*table.bad, *table.repeated]
    lines += _grouped(
        note for reading in readings for note in reading.notes if _is_odd(reading) or every
    )
    if every:
        lines += [line for reading in readings for line in _use_lines(reading)]
    lines += compare.as_lines(found)
    return [*lines, *_counts(table, readings)]


def _grouped(notes: Iterable[str]) -> Iterator[str]:
    """One line for all rows of a table that have the same note."""
    lines: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        where, _, text = note.partition(": ")
        table, _, line = where.rpartition(":")
        lines.setdefault((table, text), []).append(line)
    for (table, text), found in lines.items():
        rows = f" to {found[-1]} ({len(found)} rows)" if len(found) > 1 else ""
        yield f"{table}:{found[0]}{rows}: {text}"


def _is_odd(reading: Reading) -> bool:
    return reading.stages[0] != "other gpu"


def _use_lines(reading: Reading) -> list[str]:
    head = f"{reading.entry.where}: stage 1 {reading.stages[0]}, stage 2 {reading.stages[1]}"
    return [
        head,
        *(
            f"  stage {use.call.stage}: {use.instance or '-'} of {use.module}"
            for use in reading.uses
        ),
    ]


def _counts(table: Table, readings: Sequence[Reading]) -> list[str]:
    """Every row once: by the back ends of its stages, repeated, or not understood."""
    counts = Counter(f"{v.entry.kind}: {v.stages[0]} / {v.stages[1]}" for v in readings)
    counts["repeated"] = len(table.repeated)
    counts["not understood"] = len(table.bad)
    lines = [f"{count:>6}  {name}" for name, count in sorted(counts.items()) if count]
    return [*lines, f"{sum(counts.values()):>6}  rows"]


def _import_json(
    table: Table, readings: Sequence[Reading], found: compare.Comparison
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "bad_rows": table.bad,
        "repeated_rows": table.repeated,
        "rows": [
            {
                "where": reading.entry.where,
                "kind": reading.entry.kind,
                "stages": reading.stages,
                "uses": [
                    {
                        "stage": use.call.stage,
                        "module": use.module,
                        "instance": use.instance,
                        "named": use.named,
                        "block_m": use.call.block_m,
                    }
                    for use in reading.uses
                ],
                "notes": reading.notes,
            }
            for reading in readings
        ],
        "recipes": compare.as_json(found),
    }
