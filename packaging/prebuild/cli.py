"""The ``prebuild`` command: each command is a thin pair of declared arguments and one call."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from prebuild import console, fileset, pipeline
from prebuild.bench.cli import bench
from prebuild.compile.costs import shard
from prebuild.errors import PrebuildError
from prebuild.explain import plan_as_json, plan_as_text
from prebuild.generate import generate as generate_sources
from prebuild.harvest.cli import command as harvest_command
from prebuild.model import Plan
from prebuild.plan import make_plan
from prebuild.project import Project
from prebuild.recipe import Coverage, Recipe, find_recipes, json_schema, load_recipes, narrow
from prebuild.release import cli as release
from prebuild.report.cli import report
from prebuild.repro.cli import app as repro_app
from prebuild.settings import Settings
from prebuild.toolchain.cli import app as toolchain_app
from prebuild.tuned import cli as tuned
from prebuild.verify.cli import verify_kernels

app = typer.Typer(
    help="Plan, compile, inspect and pack prebuilt CK2stages modules.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(toolchain_app, name="toolchain")
app.command(name="verify-kernels")(verify_kernels)
app.command(name="harvest")(harvest_command)
app.add_typer(repro_app, name="repro")
app.command()(report)
app.command()(bench)
app.command()(tuned.import_tuned)
app.command()(tuned.coverage)
app.add_typer(release.container, name="container")
app.command()(release.matrix)
app.command()(release.judge)
app.command(name="smoke")(release.smoke_command)
app.command(name="reproduce")(release.reproduce_command)
app.command(name="join")(release.join_command)
app.command()(release.sums)
app.command(name="release-version")(release.release_version)
app.command(name="release-notes")(release.notes)


RecipeNames = Annotated[list[str], typer.Argument(help="Names or files; all recipes if none.")]
TpSizes = Annotated[list[int] | None, typer.Option("--tp", help="Only these TP sizes.")]
BlockMs = Annotated[list[int] | None, typer.Option("--block-m", help="Only these block sizes.")]
CoverageOption = Annotated[Coverage | None, typer.Option(help="Instead of the recipe's own.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")]
WorkDir = Annotated[Path | None, typer.Option("--work", help="Build folder (default: build/).")]


@app.callback()
def common(verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False) -> None:
    """Log every child process with --verbose."""
    if verbose:
        logging.basicConfig(level=logging.DEBUG, format="%(message)s", stream=sys.stderr)


@app.command()
def plan(
    recipes: RecipeNames = [],  # noqa: B006  typer wants the default itself
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
    as_json: JsonFlag = False,
    explain: Annotated[bool, typer.Option(help="Say why each thing is in or out.")] = False,
) -> None:
    """Print modules, instances and kernels; nothing is built."""
    made = make_plan(_recipes(recipes, tp, block_m, coverage))
    if as_json:
        typer.echo(json.dumps(plan_as_json(made), indent=1))
    else:
        typer.echo(plan_as_text(made, explain=explain))


@app.command()
def generate(
    recipes: RecipeNames,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
) -> None:
    """Write the sources of a plan's modules."""
    project = Project.here()
    made = make_plan(_recipes(recipes, tp, block_m, coverage))
    sources = generate_sources(made, project.templates)
    written = fileset.write(sources, out)
    typer.echo(f"{len(sources)} files below {out} ({len(written)} written, the rest unchanged)")


@app.command()
def build(
    recipes: RecipeNames = [],  # noqa: B006
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
    work: WorkDir = None,
    launcher: Annotated[str | None, typer.Option(help="ccache or sccache.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1)] = None,
) -> None:
    """Compile, link and inspect the modules of recipes."""
    made = make_plan(_recipes(recipes, tp, block_m, coverage))
    prepared, settings = _prepared(made, work)
    with console.compile_progress() as on_done:
        built = pipeline.build(
            prepared, settings=settings, launcher=launcher, jobs=jobs, on_done=on_done
        )
    for module in pipeline.inspect_modules(built):
        typer.echo(f"{module.linked.path}  {module.linked.size} bytes")
    counts = f"{len(built.compiled.compiled)} compiled, {len(built.compiled.cached)} from the cache"
    typer.echo(f"{counts}, {built.compiled.jobs} jobs, {built.seconds:.1f} s")


@app.command(name="shard")
def shard_command(
    part: Annotated[str, typer.Argument(help="I/N: the I-th of N parts, from 1.")],
    recipes: RecipeNames = [],  # noqa: B006
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
    work: WorkDir = None,
    dry_run: Annotated[bool, typer.Option(help="Only list the part's units.")] = False,
) -> None:
    """Compile one part of a plan's units into the object cache (a CI matrix joins them)."""
    index, count = _part(part)
    made = make_plan(_recipes(recipes, tp, block_m, coverage))
    prepared, settings = _prepared(made, work)
    units = shard(prepared.units, prepared.book, count)[index]
    for unit in units:
        typer.echo(f"{prepared.book.of(unit).seconds:7.1f} s  {unit.id}")
    if not dry_run:
        with console.compile_progress() as on_done:
            pipeline.build(prepared, settings=settings, only=units, on_done=on_done)


@app.command()
def schema() -> None:
    """Print the JSON schema of recipe files."""
    typer.echo(json.dumps(json_schema(), indent=1))


@app.command()
def check(recipes: RecipeNames = []) -> None:  # noqa: B006
    """Read recipes and plan them; print every problem of every file."""
    found = _recipes(recipes, None, None, None)
    make_plan(found)
    typer.echo(f"{len(found)} recipes are good: {', '.join(recipe.name for recipe in found)}")


@app.command()
def clean(
    objects: Annotated[bool, typer.Option(help="Also the shared object cache.")] = False,
) -> None:
    """Remove build/; with --objects also the object cache (not the toolchain)."""
    settings = Settings.from_environ(os.environ)
    folders = [Project.here().build]
    if objects:
        folders += [settings.cache_dir / "objects", settings.cache_dir / "modules"]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        typer.echo(f"removed {folder}")


def main() -> None:
    """Run the command line; errors of ours are printed without a traceback."""
    try:
        app()
    except PrebuildError as error:
        console.err.print(f"prebuild: {error}", markup=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        console.err.print("prebuild: interrupted; finished objects are kept, run it again to go on")
        sys.exit(130)


def _recipes(
    names: list[str],
    tp: list[int] | None,
    block_m: list[int] | None,
    coverage: Coverage | None,
) -> tuple[Recipe, ...]:
    found = load_recipes(find_recipes(names, Project.here().recipes))
    return tuple(
        narrow(recipe, tp=tp or (), block_m=block_m or (), coverage=coverage) for recipe in found
    )


def _prepared(made: Plan, work: Path | None) -> tuple[pipeline.Prepared, Settings]:
    project, settings = Project.here(), Settings.from_environ(os.environ)
    folder = (work or project.build).absolute()
    return pipeline.prepare(made, project=project, settings=settings, work=folder), settings


def _part(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        message = f"{text!r} is no part; expected I/N with 1 <= I <= N, such as 1/4"
        raise typer.BadParameter(message)
    return int(index) - 1, int(count)
