"""From a work folder to a report."""

from __future__ import annotations

from pathlib import Path

from prebuild.compile.build import read_costs
from prebuild.compile.costs import CostBook
from prebuild.inspect.codeobject import CodeObjectError
from prebuild.inspect.known import known_facts
from prebuild.report import ninja_log, record
from prebuild.report.model import Registers, Report, make_report
from prebuild.toolchain import Toolchain


def collect(work: Path, toolchain: Toolchain | None, book: Path | None = None) -> Report:
    """Read what the last build in ``work`` left.

    Without a ``toolchain`` code objects are not read and no row has registers.  ``book`` is the
    cache's costs, for what came from the cache.  Raises
    :class:`~prebuild.report.record.RecordError` where there was no build.
    """
    found = record.read(work)
    registers = _registers(found, toolchain) if toolchain else {}
    costs = CostBook(book).recorded if book else {}
    known = {unit: cost.seconds for unit, cost in costs.items()}
    return make_report(found, ninja_log.read(work), read_costs(work / "costs"), registers, known)


def _registers(found: record.BuildRecord, toolchain: Toolchain) -> dict[str, Registers]:
    facts = {}
    for unit in found.units:
        path = Path(unit.object)
        if unit.kind != "kernel" or not path.is_file():
            continue
        try:
            facts[unit.id] = _of(path, toolchain)
        except CodeObjectError:
            continue  # `prebuild build` has said so; a report shows what is there
    return facts


def _of(path: Path, toolchain: Toolchain) -> Registers:
    found = known_facts(path, toolchain)
    return Registers(
        vgprs=found.vgprs,
        agprs=found.agprs,
        sgprs=found.sgprs,
        vgpr_spills=found.vgpr_spills,
        sgpr_spills=found.sgpr_spills,
        lds_bytes=found.lds_bytes,
        scratch_bytes=found.scratch_bytes,
        code_bytes=found.code_bytes,
    )
