"""``prebuild bench``: the split build beside the one it replaces."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from prebuild import console
from prebuild.bench import fourinone
from prebuild.bench.bench import PLAIN, TORCH, Bench, Build
from prebuild.bench.measure import Sample, median
from prebuild.bench.result import Result, Stock, as_json, as_text
from prebuild.plan import make_plan
from prebuild.project import Project
from prebuild.recipe import Coverage, Recipe, find_recipes, load_recipes, narrow
from prebuild.settings import Settings
from prebuild.toolchain import load

RECIPE = "kimi-k2.5-mxfp4"
CASES: tuple[tuple[str, list[int], list[int], float], ...] = (
    ("Kimi TP 2, block_m 128 (ROCm/aiter#3566)", [2], [128], 0.06),
    ("Kimi TP 1, 2, 4, every block_m", [1, 2, 4], [], 0.15),
)
Folders = Annotated[
    list[Path] | None, typer.Option("--include", help="What torch's headers need: rocThrust.")
]


def bench(
    runs: Annotated[int, typer.Option(min=1, help="Medians of so many rounds.")] = 1,
    instance: Annotated[
        list[str] | None, typer.Option(help="Part of an instance's name; several may be given.")
    ] = None,
    torch: Annotated[
        Path | None, typer.Option(help="site-packages of an installed torch (its headers).")
    ] = None,
    include: Folders = None,
    stock: Annotated[bool, typer.Option(help="Also AITER's ten units: 20 CPU minutes.")] = False,
    stock_file: Annotated[
        Path | None, typer.Option(help="Keep the stock figure here, or take it from here.")
    ] = None,
    builds: Annotated[bool, typer.Option(help="Also whole builds, cold and warm.")] = True,
    out: Annotated[Path | None, typer.Option(help="Write JSON here.")] = None,
) -> None:
    """Compile instances four-in-one and split, build the issue's case cold and warm."""
    headers = fourinone.TorchHeaders.find(torch, include or ()) if torch else None
    settings = Settings.from_environ(os.environ)
    compiler, load_average = load(settings).compiler_version, os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="prebuild-bench-") as folder:
        made = Bench(
            project=Project.here(),
            settings=settings,
            work=Path(folder),
            torch=headers,
            say=lambda line: console.err.print(line, markup=False),
        )
        full = make_plan([_recipe([2], [], "full")])
        names = instance or ["gemm1_256x128x", "gemm2_256x128x"]
        samples = made.compare(full, instances=names, stock=stock, runs=runs)
        found: list[Build] = []
        for name, tp, block_m, limit in CASES if builds else ():
            found.append(made.build(name, make_plan([_recipe(tp, block_m)]), limit=limit))
    way = TORCH if headers else PLAIN
    result = Result(
        compiler=compiler,
        cores=len(os.sched_getaffinity(0)),
        load=load_average,
        runs=runs,
        samples=samples,
        builds=found,
        stock=_stock(samples, way, compiler, stock=stock, file=stock_file),
    )
    if out:
        out.write_text(json.dumps(as_json(result), indent=1) + "\n", encoding="utf-8")
    console.out.print(as_text(result), markup=False)


def _recipe(tp: list[int], block_m: list[int], coverage: Coverage = "deployed") -> Recipe:
    (recipe,) = load_recipes(find_recipes([RECIPE], Project.here().recipes))
    return narrow(recipe, tp=tp, block_m=block_m, coverage=coverage)


def _stock(
    samples: dict[str, list[Sample]], way: str, compiler: str, *, stock: bool, file: Path | None
) -> Stock | None:
    if not stock:
        return Stock.read(file, compiler) if file else None
    units = [median(found) for key, found in samples.items() if key.startswith(f"{way}/")]
    measured = Stock(
        cpu_seconds=sum(unit.cpu_seconds for unit in units),
        units=len(units),
        way=way,
        compiler=compiler,
    )
    if file:
        measured.write(file)
    return measured
