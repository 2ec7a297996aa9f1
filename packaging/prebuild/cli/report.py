"""``prebuild report``: what the last build in a work folder did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from prebuild.core import console
from prebuild.core.errors import PrebuildError, ToolchainError, why
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.report import compare as comparing
from prebuild.report.collect import collect
from prebuild.report.html import as_html
from prebuild.report.model import as_json
from prebuild.report.table import as_comparison, as_kernels, as_table
from prebuild.report.trace import as_trace
from prebuild.toolchain import Toolchain, load


def report(
    work: Annotated[Path | None, typer.Option(help="Build folder (default: build/).")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with a timeline.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a trace for Perfetto.")] = None,
    compare: Annotated[Path | None, typer.Option(help="An earlier build's folder.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Slowest compiles to list.")] = 12,
    kernels: Annotated[bool, typer.Option(help="List every kernel with its resources.")] = False,
    as_json_: Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")] = False,
) -> None:
    """Show a build's modules, slowest compiles, critical path, cache hits and registers."""
    folder = work or Project.here().build
    settings = Settings.here()
    toolchain = _toolchain(settings)
    found = collect(folder, toolchain, settings.cache_dir / "costs.json")
    other = comparing.compare(collect(compare, toolchain), found) if compare else None
    if html:
        _write(html, as_html(found))
    if trace:
        _write(trace, json.dumps(as_trace(found)))
    if as_json_:
        joined = as_json(found) | ({"compare": comparing.as_json(other)} if other else {})
        typer.echo(json.dumps(joined, indent=1))
        return
    console.out.print(as_table(found, top=top))
    if kernels:
        console.out.print(as_kernels(found))
    if other:
        console.out.print(as_comparison(other, top=top))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PrebuildError(f"{path} cannot be written: {why(error)}") from error


def _toolchain(settings: Settings) -> Toolchain | None:
    """The toolchain that reads code objects; a report without registers is one, too."""
    try:
        return load(settings)
    except ToolchainError:
        return None
