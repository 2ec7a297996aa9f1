"""A small build: two kernels side by side, a launcher after them, one unit from the cache."""

from __future__ import annotations

import json
from pathlib import Path

from prebuild.report import record as written
from prebuild.report.model import Registers, Report, make_report
from prebuild.report.ninja_log import Edge
from prebuild.report.record import BuildRecord, ModuleRecord, UnitRecord

LONG = "moe_ck2stages_gemm1_256x128x128x128_1x4_Op_v3_Nswizzle0.main_even"
SHORT = "moe_ck2stages_gemm2_256x32x128x128_1x4_Op_v3_Nswizzle0.main_even"
REGISTERS = Registers(
    vgprs=256,
    agprs=0,
    sgprs=100,
    vgpr_spills=42,
    sgpr_spills=0,
    lds_bytes=32768,
    scratch_bytes=0,
    code_bytes=20000,
)


MODULE = ModuleRecord(
    name="module_x__deployed_0",
    coverage="deployed",
    recipes=("one", "two"),
    instances=2,
    instances_of=10,
    kernels=(LONG, SHORT),
    bytes=123456,
)


def record(**changes: object) -> BuildRecord:
    units = tuple(
        UnitRecord(id=name, kind=kind, key=name, object=f"/o/{name}", cached=cached)
        for name, kind, cached in (
            (LONG, "kernel", False),
            (SHORT, "kernel", False),
            ("launch", "launcher", False),
            ("binding", "host", True),
        )
    )
    values: dict[str, object] = {
        "made": "2026-11-26 08:00",
        "commit": "0" * 40,
        "compiler": "clang 22",
        "jobs": 2,
        "launcher": None,
        "compile_seconds": 34.0,
        "link_seconds": 0.5,
        "units": units,
        "modules": (MODULE,),
    }
    return BuildRecord(**(values | changes))  # type: ignore[arg-type]


EDGES = (
    Edge(output=f"/o/{LONG}", start=0.0, end=30.0),
    Edge(output=f"/o/{SHORT}", start=0.0, end=20.0),
    Edge(output="/o/launch", start=20.0, end=24.0),
    Edge(output="/o/binding", start=0.0, end=99.0),  # of an earlier build
)
COSTS = {
    LONG: {"cpu_seconds": 29.0, "peak_bytes": 900 << 20},
    SHORT: {"cpu_seconds": 19.0, "peak_bytes": 600 << 20},
    "launch": {"cpu_seconds": 3.5, "peak_bytes": 300 << 20},
    "binding": {"cpu_seconds": 50.0, "peak_bytes": 1 << 20},
}


def report() -> Report:
    return make_report(record(), EDGES, COSTS, {LONG: REGISTERS})


def write_build(work: Path) -> Path:
    (work / "costs").mkdir(parents=True)
    written.write(record(), work)
    for name, cost in COSTS.items():
        (work / "costs" / f"{name}.json").write_text(json.dumps(cost))
    lines = [
        f"{edge.start * 1000:.0f}\t{edge.end * 1000:.0f}\t1\t{edge.output}\tff" for edge in EDGES
    ]
    (work / ".ninja_log").write_text("\n".join(["# ninja log v7", *lines]) + "\n")
    return work
