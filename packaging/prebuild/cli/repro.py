"""``prebuild repro``: the two reproductions of ROCm/aiter#3566."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from prebuild.core import console
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.pipeline.elsewhere import build_in
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe, find_recipes, load_recipes, narrow
from prebuild.report import ninja_log
from prebuild.report.collect import collect
from prebuild.repro import compile as compiling
from prebuild.repro import generator as generating

RECIPE = "kimi-k2.5-mxfp4"

app = typer.Typer(help="The two reproductions of ROCm/aiter#3566.", no_args_is_help=True)
Tp = Annotated[int, typer.Option(help="Tensor-parallel size; 2 gives inter_dim 1024.")]


@app.command()
def generator(
    tp: Tp = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")] = False,
) -> None:
    """List the instance files of the full and of the deployed module; compile nothing.

    The exit code is 1 where the deployed module holds a gemm2_64x* instance or another dispatch.
    """
    found = generating.listings(_recipe(), tp=tp, templates=Project.here().templates)
    text = json.dumps(generating.as_json(found), indent=1) if as_json else generating.as_text(found)
    typer.echo(text)
    if generating.verdict(found) == generating.FAILS:
        raise typer.Exit(1)


@app.command()
def compile(  # noqa: A001  the command's name
    tp: Tp = 2,
    block_m: Annotated[
        list[int] | None, typer.Option(help="Only these block sizes (the issue: 128).")
    ] = None,
    top: Annotated[int, typer.Option(min=1)] = 12,
) -> None:
    """Build the deployed module from nothing and print its slowest edges, as the issue does."""
    plan = make_plan([narrow(_recipe(), tp=[tp], block_m=block_m or [128], coverage="deployed")])
    with tempfile.TemporaryDirectory(prefix="prebuild-repro-") as name:
        folder = Path(name)
        began = time.monotonic()
        with console.progress("compiling") as on_done:
            build_in(
                folder / "cache",
                plan,
                project=Project.here(),
                settings=Settings.here(),
                work=folder / "build",
                on_done=on_done,
            )
        elapsed = time.monotonic() - began
        report, edges = collect(folder / "build", None), ninja_log.read(folder / "build")
    typer.echo(json.dumps(compiling.as_json(report, edges, elapsed=elapsed, top=top), indent=2))


def _recipe() -> Recipe:
    (recipe,) = load_recipes(find_recipes([RECIPE], Project.here().recipes))
    return recipe
