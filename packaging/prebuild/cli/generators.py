"""``prebuild generators``: the kernels that two code generators made, side by side."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.report import generators, generators_page
from prebuild.toolchain import load


def command(
    one: Annotated[Path, typer.Argument(help="A build folder, or a wheel.")],
    other: Annotated[Path, typer.Argument(help="Another one, of another code generator.")],
    write: Annotated[bool, typer.Option(help="Write the tables of docs/.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")] = False,
) -> None:
    """Set registers, spills, sizes and build times of two builds' kernels side by side."""
    if one.resolve() == other.resolve():
        raise generators.GeneratorsError(f"{one} is both sides; expected two builds")
    toolchain, project = load(Settings.here()), Project.here()
    with tempfile.TemporaryDirectory(prefix="prebuild-generators-") as scratch:
        sides = [generators.read_side(path, toolchain, Path(scratch)) for path in (one, other)]
    found = generators.beside(*sides)
    if write:
        page = project.root / "docs" / "code-generators.md"
        page.write_text(
            generators_page.with_summary(page.read_text(encoding="utf-8"), found), encoding="utf-8"
        )
        every = page.with_name(generators_page.KERNELS_PAGE)
        every.write_text(generators_page.kernels(found), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(generators.as_json(found), indent=1))
    else:
        typer.echo(generators_page.summary(found))
