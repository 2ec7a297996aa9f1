"""``prebuild bench``: the split build beside the one it replaces."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from prebuild.bench.bench import PLAIN, TORCH, Bench, Case
from prebuild.bench.fourinone import TorchHeaders
from prebuild.bench.result import Stock, as_text
from prebuild.bench.session import Session
from prebuild.core import console
from prebuild.core.model import Plan
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Coverage, find_recipes, load_recipes, narrow
from prebuild.toolchain import extras, load

RECIPE = "kimi-k2.5-mxfp4"
CASES = (
    Case(
        name="Kimi TP 2, block_m 128 (ROCm/aiter#3566)",
        recipe=RECIPE,
        tp=(2,),
        block_m=(128,),
        limit=0.06,
    ),
    # It takes minutes on two cores: once is enough for it.
    Case(name="Kimi TP 1, 2, 4, every block_m", recipe=RECIPE, tp=(1, 2, 4), limit=0.15, once=True),
)


def bench(
    runs: Annotated[int, typer.Option(min=1, help="Medians of so many rounds.")] = 1,
    instance: Annotated[
        list[str] | None, typer.Option(help="Part of an instance's name; several may be given.")
    ] = None,
    torch: Annotated[
        Path | None, typer.Option(help="An environment with torch, for its headers.")
    ] = None,
    include: Annotated[
        list[Path] | None,
        typer.Option(help="What torch's headers need; default: the extra rocthrust."),
    ] = None,
    stock: Annotated[
        bool, typer.Option(help="Also AITER's ten units, once: 20 CPU minutes.")
    ] = False,
    stock_file: Annotated[
        Path | None, typer.Option(help="Keep the stock figure here, or take it from here.")
    ] = None,
    builds: Annotated[bool, typer.Option(help="Also whole builds, cold and warm.")] = True,
    out: Annotated[
        Path | None, typer.Option(help="Write JSON here, after each step: it may be interrupted.")
    ] = None,
) -> None:
    """Compile instances four-in-one and split, build the issue's case cold and warm."""
    settings = Settings.here()
    headers = _headers(settings, torch, include or [])
    compiler = load(settings).compiler_version
    session = Session(
        compiler=compiler,
        runs=runs,
        way=TORCH if headers else PLAIN,
        stock=Stock.read(stock_file, compiler) if stock_file and not stock else None,
        measures_stock=stock,
        out=out,
        stock_file=stock_file,
    )
    with tempfile.TemporaryDirectory(prefix="prebuild-bench-") as folder:
        made = Bench(
            project=Project.here(),
            settings=settings,
            work=Path(folder),
            torch=headers,
            say=lambda line: console.err.print(line, markup=False),
        )
        names = instance or ["gemm1_256x128x", "gemm2_256x128x"]
        jobs = made.jobs(_plan((2,), coverage="full"), instances=names, stock=stock)
        try:
            session.run(made, jobs, CASES if builds else (), _plan_of)
        finally:  # what was measured before an interruption or a failure counts, too
            console.out.print(as_text(session.result()), markup=False)


def _headers(settings: Settings, torch: Path | None, include: list[Path]) -> TorchHeaders | None:
    if torch is None:
        return None
    return TorchHeaders.find(torch, include or [extras.include_of(settings, "rocthrust")])


def _plan_of(case: Case) -> Plan:
    return _plan(case.tp, case.block_m)


def _plan(
    tp: tuple[int, ...], block_m: tuple[int, ...] = (), coverage: Coverage = "deployed"
) -> Plan:
    (recipe,) = load_recipes(find_recipes([RECIPE], Project.here().recipes))
    return make_plan([narrow(recipe, tp=tp, block_m=block_m, coverage=coverage)])
