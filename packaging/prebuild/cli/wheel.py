"""``prebuild wheel``: build the wheel of some recipes and say what is in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, Manifest, parse
from prebuild.cli import toolchain
from prebuild.cli.plan import BlockMs, CoverageOption, TpSizes, chosen_recipes
from prebuild.core.errors import ProblemsError
from prebuild.core.project import Project
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Coverage, find_recipes
from prebuild.wheel.config import parse_config


class NothingChosenError(ProblemsError):
    """No recipe is named and ``--all`` is not given."""

    exit_code = 2


def wheel(
    recipes: Annotated[
        list[str], typer.Argument(help="Names or files; --all for all recipes.")
    ] = [],  # noqa: B006
    tp: TpSizes = None,
    block_m: BlockMs = None,
    coverage: CoverageOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All recipes.")] = False,
    launcher: Annotated[str | None, typer.Option(help="ccache or sccache.")] = None,
    verify: Annotated[
        str, typer.Option(help="A wrong kernel stops the wheel (stop), or not (report, off).")
    ] = "stop",
    out: Annotated[Path, typer.Option(help="Folder of the wheel.")] = Path("dist"),
) -> None:
    """Build the wheel of some recipes: compile, run every kernel, pack, judge.

    A compiler is installed first where there is none (as by ``prebuild toolchain install``).
    """
    project = Project.here()
    if everything == bool(recipes):
        known = ", ".join(path.stem for path in find_recipes([], project.recipes))
        message = "name recipes, or --all for all of them (make: RECIPE=NAME, or make wheels):"
        raise NothingChosenError(message, [f"the recipes are {known}"])
    # Every problem before any work; what the composable kernel can is not known yet.
    make_plan(chosen_recipes(recipes, tp, block_m, coverage))
    settings = _settings(recipes, tp, block_m, coverage, launcher, verify)
    parse_config(settings)
    toolchain.install()
    from prebuild_backend import build_wheel

    target = out.absolute()
    target.mkdir(parents=True, exist_ok=True)
    os.chdir(project.root)  # hatchling packs the project that it stands in
    name = build_wheel(str(target), settings)
    _show(target / name)


def _settings(
    recipes: list[str],
    tp: list[str] | None,
    block_m: list[str] | None,
    coverage: Coverage | None,
    launcher: str | None,
    verify: str,
) -> dict[str, str | list[str]]:
    """The same as a front end's ``-C``: what is built does not depend on who asks for it."""
    given: dict[str, str | list[str] | None] = {
        "recipe": [str(Path(name).absolute()) if _is_file(name) else name for name in recipes],
        "tp": tp,
        "block-m": block_m,
        "coverage": coverage,
        "launcher": launcher,
        "verify": verify,
    }
    return {key: value for key, value in given.items() if value}


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _show(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path) as packed:
        inside = packed.read(f"aiter_prebuilt/{MANIFEST_NAME}").decode()
    typer.echo("\n".join(described(path, parse(inside))))


def described(path: Path, manifest: Manifest) -> list[str]:
    """Return the lines that end a build: the wheel, what is in it, how to install it."""
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    lines = [f"{shown}  {path.stat().st_size / 1e6:.2f} MB, version {manifest.version}"]
    for module in manifest.modules:
        kernels = sum(len(instance.kernels) for instance in module.instances)
        text = f"{len(module.built)} instances, {kernels} kernels ({module.coverage})"
        lines.append(f"  {module.stock_name}: {text}")
    return [*lines, f"pip install {shown}"]
