"""``prebuild build``, ``shard`` and ``clean``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from aiter_prebuilt.digits import NUMBER
from prebuild.cli.plan import BlockMs, CoverageOption, RecipeNames, TpSizes, chosen_recipes
from prebuild.compile.costs import shard
from prebuild.core import console
from prebuild.core.errors import ProblemsError
from prebuild.core.model import Plan
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.pipeline import build as pipeline
from prebuild.pipeline.elsewhere import elsewhere
from prebuild.plan.make import make_plan
from prebuild.toolchain import ck_abilities

WorkDir = Annotated[Path | None, typer.Option("--work", help="Build folder (default: build/).")]

LauncherOption = Annotated[str | None, typer.Option(help="ccache or sccache.")]


def build(
    recipes: RecipeNames = [],  # noqa: B006
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
    work: WorkDir = None,
    launcher: LauncherOption = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1)] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Objects and modules here, not in the shared cache.")
    ] = None,
) -> None:
    """Compile, link and inspect the modules of recipes."""
    made = make_plan(chosen_recipes(recipes, tp, block_m, coverage), ck_abilities(Settings.here()))
    prepared, settings = _prepared(made, work)
    if cache is not None:
        prepared, settings = elsewhere(prepared, settings, cache.absolute())
    with pipeline.exclusively(prepared.work), console.progress("compiling") as on_done:
        built = pipeline.build(
            prepared, settings=settings, launcher=launcher, jobs=jobs, on_done=on_done
        )
        inspected = pipeline.inspect_modules(built)
    for module in inspected:
        typer.echo(f"{module.linked.path}  {module.linked.size} bytes")
    counts = f"{len(built.compiled.compiled)} compiled, {len(built.compiled.cached)} from the cache"
    typer.echo(f"{counts}, {built.compiled.jobs} jobs, {built.seconds:.1f} s")


def shard_command(
    part: Annotated[str, typer.Argument(help="I/N: the I-th of N parts, from 1.")],
    recipes: RecipeNames = [],  # noqa: B006
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
    work: WorkDir = None,
    launcher: LauncherOption = None,
    dry_run: Annotated[bool, typer.Option(help="Only list the part's units.")] = False,
) -> None:
    """Compile one part of a plan's units into the object cache (a CI matrix joins them)."""
    index, count = _part(part)
    made = make_plan(chosen_recipes(recipes, tp, block_m, coverage), ck_abilities(Settings.here()))
    prepared, settings = _prepared(made, work)
    units = shard(prepared.units, prepared.book, count)[index]
    for unit in units:
        typer.echo(f"{prepared.book.of(unit).seconds:7.1f} s  {unit.id}")
    if not dry_run:
        with pipeline.exclusively(prepared.work), console.progress("compiling") as on_done:
            pipeline.build(
                prepared, settings=settings, only=units, launcher=launcher, on_done=on_done
            )


def clean(
    objects: Annotated[bool, typer.Option(help="Also the shared object cache.")] = False,
) -> None:
    """Remove build/; with --objects also the object cache (not the toolchain)."""
    settings = Settings.here()
    folders = [Project.here().build]
    if objects:
        folders += [settings.cache_dir / "objects", settings.cache_dir / "modules"]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    # A link to a folder elsewhere, for one: what it names is not ours to remove.
    left = [f"{folder}: remove it yourself" for folder in folders if os.path.lexists(folder)]
    if left:
        raise ProblemsError("not removed:", left)
    typer.echo("\n".join(f"removed {folder}" for folder in folders))


def _prepared(made: Plan, work: Path | None) -> tuple[pipeline.Prepared, Settings]:
    project, settings = Project.here(), Settings.here()
    folder = (work or project.build).absolute()
    return pipeline.prepare(made, project=project, settings=settings, work=folder), settings


def _part(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    both = NUMBER.fullmatch(index) and NUMBER.fullmatch(count)
    if not both or int(index) > int(count):
        message = f"{text!r} is no part; expected I/N with 1 <= I <= N, such as 1/4"
        raise typer.BadParameter(message)
    return int(index) - 1, int(count)
