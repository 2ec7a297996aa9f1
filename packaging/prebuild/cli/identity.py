"""``prebuild identity``: whether our kernels are those that an AITER would build.

Exit status: 0 where every kernel is the same, 1 where one is not or could not be compared.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from prebuild.bench import identity
from prebuild.bench.fourinone import TorchHeaders
from prebuild.cli.plan import CoverageOption, RecipeNames, TpSizes, chosen_recipes
from prebuild.core import console
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.inspect import aiter_code
from prebuild.pipeline import build as pipeline
from prebuild.plan.make import make_plan
from prebuild.toolchain import aiter_sources, ck_abilities, extras

DIFFERS = 1


def command(
    aiter: Annotated[  # noqa: A002  the command's word
        Path, typer.Argument(help="An AITER checkout, or an installed one.")
    ],
    recipes: RecipeNames = [],  # noqa: B006
    torch: Annotated[
        Path, typer.Option(help="An environment with torch, whose headers AITER includes.")
    ] = Path(".venv-torch"),
    tp: TpSizes = None,
    coverage: CoverageOption = None,
    toolchain_ck: Annotated[
        bool,
        typer.Option(help="The toolchain's composable kernel, not the one that the AITER pins."),
    ] = False,
    write: Annotated[
        bool, typer.Option(help="Note what is the same, for the manifests of wheels.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")] = False,
) -> None:
    """Compile AITER's generated sources and ours, say of each kernel whether it is the same."""
    whose = aiter_sources.origin(aiter_sources.find_aiter(aiter.absolute()))
    if write and not aiter_sources.is_certain(whose):
        msg = f"--write needs an AITER with a commit or a version and without changes, not {whose}"
        raise aiter_code.AiterCodeError(msg, [])
    project = Project.here()
    settings = dataclasses.replace(
        Settings.here(), ck_include=None, aiter=None if toolchain_ck else aiter.absolute()
    )
    made = make_plan(chosen_recipes(recipes, tp, None, coverage), ck_abilities(settings))
    headers = TorchHeaders.find(torch, [extras.include_of(settings, "rocthrust")])
    prepared = pipeline.prepare(
        made, project=project, settings=settings, work=project.build / "identity"
    )
    with console.progress("compiling") as on_done:
        found = identity.compare(
            prepared,
            path=aiter.absolute(),
            torch=headers,
            objects=settings.cache_dir / "objects",
            on_done=on_done,
        )
    if write:
        aiter_code.write(project.aiter_code, _noted(found))
    if as_json:
        typer.echo(json.dumps(identity.as_json(found), indent=1))
    else:
        typer.echo("\n".join(identity.as_text(found)))
    raise typer.Exit(0 if found.same else DIFFERS)


def _noted(found: identity.Comparison) -> aiter_code.Checked:
    return aiter_code.Checked(
        aiter=found.aiter,
        compiler=found.compiler,
        code_generator=found.code_generator,
        composable_kernel=found.ck_version,
        flags=found.flags,
        kernels={one.kernel: one.sha256 for one in found.kernels if one.likeness in identity.SAME},
    )
