"""``prebuild compare-device``: the bits that a device reported beside those of the executor.

Exit status: 0 where every output that the report names is the same, bit by bit, 1 where one is not
or could not be compared, 2 where report and wheel do not fit or there is nothing to compare.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from prebuild.core import console
from prebuild.core.settings import Settings
from prebuild.pipeline import device
from prebuild.verify.device import Beside

DIFFERS = 1
SCHEMA_VERSION = 1


def command(
    wheel: Annotated[Path, typer.Argument(help="The wheel, or the folder with its manifest.")],
    report: Annotated[Path, typer.Argument(help="What aiter-prebuilt selftest --json printed.")],
    objdump: Annotated[
        Path | None, typer.Option(help="llvm-objdump that knows the GPU; default: the toolchain's.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    only: Annotated[str, typer.Option(help="Only kernels whose name holds this text.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")] = False,
) -> None:
    """Run a device's selftest problems on the executor and compare the outputs bit by bit."""
    found = device.compare(
        wheel, report, settings=Settings.here(), objdump=objdump, jobs=jobs, only=only
    )
    if as_json:
        kernels = [_as_json(one) for one in found]
        typer.echo(json.dumps({"schema": SCHEMA_VERSION, "kernels": kernels}, indent=1))
    else:
        console.out.print(table(found))
        for one in found:
            if one.state != "same" or one.failure:
                console.say(_line(one), console.out)
    same = all(one.state == "same" and not one.failure for one in found)
    raise typer.Exit(0 if same and found else DIFFERS)


def _as_json(one: Beside) -> dict[str, object]:
    """Return JSON values: an error that is no number is null."""
    return {**asdict(one), "max_error": one.max_error if math.isfinite(one.max_error) else None}


def _line(one: Beside) -> str:
    failure = f"; the executor: {one.failure}" if one.failure else ""
    return f"{one.module}, {one.kernel}: {one.state}, {one.device} on the device{failure}"


def table(found: Sequence[Beside]) -> Table:
    """Return a row for each kind of operands."""
    drawn = Table(title="outputs of a device beside the executor's")
    for name in ("operands", "kernels", "elements", "same bits", "other bits", "not compared"):
        drawn.add_column(name, justify="left" if name == "operands" else "right")
    drawn.add_column("error / bound", justify="right")
    kinds: dict[str, list[Beside]] = defaultdict(list)
    for one in found:
        kinds[one.operands].append(one)
    for operands, own in [*sorted(kinds.items()), ("all", list(found))]:
        states = [one.state for one in own]
        same, other = states.count("same"), states.count("other bits")
        drawn.add_row(
            operands,
            str(len(own)),
            f"{sum(one.elements for one in own):,}",
            str(same),
            str(other),
            str(len(own) - same - other),
            f"{max((one.max_error for one in own), default=0.0):.3f}",
        )
    return drawn
