"""``prebuild verify-kernels``: run every kernel of a wheel or a build and judge its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from prebuild.core.settings import Settings
from prebuild.pipeline.kernels import mnemonics, run

SCHEMA_VERSION = 1


def verify_kernels(
    path: Annotated[Path, typer.Argument(help="A wheel, a build folder, a module (.so) or a .co.")],
    objdump: Annotated[
        Path | None, typer.Option(help="llvm-objdump that knows the GPU; default: the toolchain's.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    only: Annotated[str, typer.Option(help="Only kernels whose name holds this text.")] = "",
    failures: Annotated[
        Path, typer.Option(help="Where to write what is wrong with a kernel.")
    ] = Path("verify-failures"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Run what the cache knows, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    only_list: Annotated[
        bool, typer.Option("--mnemonics", help="Run nothing: print which instructions occur.")
    ] = False,
) -> None:
    """Run the machine code of every kernel on a CPU and compare with an exact reference."""
    settings = Settings.here()
    if only_list:
        typer.echo(mnemonics(path, settings=settings, objdump=objdump), nl=False)
        return
    verdicts = run(
        path,
        settings=settings,
        objdump=objdump,
        jobs=jobs,
        only=only,
        failures=failures,
        fresh=fresh,
    )
    if as_json:
        content = {
            "schema": SCHEMA_VERSION,
            "kernels": [verdict.to_json() for verdict in verdicts],
        }
        typer.echo(json.dumps(content, indent=1, sort_keys=True))
