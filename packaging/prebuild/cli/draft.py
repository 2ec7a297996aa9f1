"""``prebuild draft``: a recipe from a model's own configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiter_prebuilt.choice.model import QUANTS
from prebuild.cli.plan import TpSizes
from prebuild.recipe.draft import as_yaml
from prebuild.recipe.draft import draft as draft_recipe
from prebuild.wheel.config import parse_config

_COMMENT = "Draft of prebuild draft: check name and model; prebuild plan FILE --explain shows it."


def draft(
    config: Annotated[Path, typer.Option(help="The model's config.json.")],
    quant: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(QUANTS)}; default: what quantization_config says."),
    ] = None,
    tp: TpSizes = None,
    ep: Annotated[int, typer.Option(min=1, help="Expert-parallel size.")] = 1,
    fuse_shared: Annotated[
        bool, typer.Option("--fuse-shared", help="AITER runs the shared experts with the others.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write it here; default: print it.")] = None,
) -> None:
    """Draft a recipe from a model's config.json."""
    if quant is not None and quant not in QUANTS:
        raise typer.BadParameter(f"--quant is {quant!r}; allowed are {', '.join(QUANTS)}")
    sizes = parse_config({"tp": tp or ["1,2,4,8"]}).tp
    recipe, left_out = draft_recipe(config, quant=quant, tp=sizes, ep=ep, fused=fuse_shared)
    text = as_yaml(recipe, _COMMENT)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {out}", err=True)
    for line in left_out:
        typer.echo(line, err=True)
