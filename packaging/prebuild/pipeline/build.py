"""The stages in order: recipe -> plan -> generate -> compile -> link -> inspect -> manifest.

Only this module and the CLI compose stages.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prebuild.compile.build import CompileResult, compile_units
from prebuild.compile.costs import CostBook
from prebuild.compile.flags import Flags, resolve_flags
from prebuild.compile.units import ModuleUnits, Unit, plan_units
from prebuild.core import console
from prebuild.core.lock import exclusive
from prebuild.core.model import OnDone, Plan
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.core.source import SourceState, source_state
from prebuild.generate import fileset
from prebuild.generate.sources import generate
from prebuild.inspect.codeobject import KernelFacts
from prebuild.inspect.elf import elf_facts
from prebuild.inspect.findings import InspectionError, judge, load_policy
from prebuild.inspect.known import known_facts
from prebuild.link import LinkedModule, link_module
from prebuild.pipeline.manifest import Inspected
from prebuild.report import record
from prebuild.toolchain import Toolchain
from prebuild.toolchain import load as load_toolchain


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A plan with its sources on disk and its units known: nothing has been compiled yet."""

    plan: Plan
    toolchain: Toolchain
    flags: Flags
    modules: tuple[ModuleUnits, ...]
    work: Path
    book: CostBook
    source: SourceState

    @property
    def units(self) -> tuple[Unit, ...]:
        """Every unit once, whichever modules need it."""
        unique = {
            unit.key: unit
            for module in self.modules
            for unit in (*module.kernels.values(), *module.hosts)
        }
        return tuple(unique.values())


@dataclass(frozen=True, kw_only=True)
class Built:
    """Linked modules, and how it went."""

    prepared: Prepared
    compiled: CompileResult
    modules: Mapping[str, LinkedModule]
    """Module name -> its shared object."""
    seconds: float


def prepare(plan: Plan, *, project: Project, settings: Settings, work: Path) -> Prepared:
    """Write the plan's sources below ``work`` and name every unit."""
    toolchain = load_toolchain(settings)
    flags = resolve_flags(toolchain, settings.cache_dir)
    generated = work / "src"
    fileset.write(generate(plan, project.templates), generated)
    modules = plan_units(
        plan,
        csrc=project.csrc,
        generated=generated,
        objects=settings.cache_dir / "objects",
        toolchain=toolchain,
        flags=flags,
    )
    return Prepared(
        plan=plan,
        toolchain=toolchain,
        flags=flags,
        modules=modules,
        work=work,
        book=CostBook(settings.cache_dir / "costs.json"),
        source=source_state(project.root),
    )


@contextmanager
def exclusively(work: Path) -> Iterator[None]:
    """Hold a work folder: of two builds in one, each would pack the other's modules."""
    text = f"waiting for another build in {work}"
    with exclusive(work / ".lock", lambda: console.say(text, console.err)):
        yield


def build(
    prepared: Prepared,
    *,
    settings: Settings,
    only: Sequence[Unit] | None = None,
    launcher: str | None = None,
    jobs: int | None = None,
    on_done: OnDone = lambda _finished, _total, _unit: None,
) -> Built:
    """Compile and link; with ``only`` (a shard's units) compile those and link nothing."""
    began = time.monotonic()
    compiled = compile_units(
        prepared.units if only is None else only,
        toolchain=prepared.toolchain,
        work=prepared.work,
        book=prepared.book,
        launcher=launcher,
        jobs=jobs,
        on_done=on_done,
    )
    compile_seconds = time.monotonic() - began
    linked = {} if only is not None else _link_all(prepared, settings)
    seconds = time.monotonic() - began
    note = _record(
        compiled, prepared, linked, launcher, (compile_seconds, seconds - compile_seconds)
    )
    record.write(note, prepared.work)
    return Built(prepared=prepared, compiled=compiled, modules=linked, seconds=seconds)


def _record(
    compiled: CompileResult,
    prepared: Prepared,
    linked: Mapping[str, LinkedModule],
    launcher: str | None,
    seconds: tuple[float, float],
) -> record.BuildRecord:
    units = [(unit, False) for unit in compiled.compiled]
    units += [(unit, True) for unit in compiled.cached]
    dirty = "-dirty" if prepared.source.dirty else ""
    return record.BuildRecord(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        commit=f"{prepared.source.commit}{dirty}",
        compiler=prepared.toolchain.compiler_version,
        jobs=compiled.jobs,
        launcher=launcher,
        compile_seconds=round(seconds[0], 3),
        link_seconds=round(seconds[1], 3),
        units=tuple(
            record.UnitRecord(
                id=unit.id, kind=unit.kind, key=unit.key, object=str(unit.object), cached=cached
            )
            for unit, cached in units
        ),
        modules=tuple(
            _module_record(units, linked[units.module.name])
            for units in prepared.modules
            if units.module.name in linked
        ),
    )


def _module_record(units: ModuleUnits, linked: LinkedModule) -> record.ModuleRecord:
    planned = units.module
    return record.ModuleRecord(
        name=planned.name,
        coverage=planned.coverage,
        recipes=planned.recipes,
        instances=len(planned.built),
        instances_of=len(planned.instances),
        kernels=tuple(units.kernels),
        bytes=linked.size,
    )


def _link_all(prepared: Prepared, settings: Settings) -> dict[str, LinkedModule]:
    return {
        module.module.name: link_module(
            module.module.name,
            starts=module.module.starts,
            kernels={kernel: unit.object for kernel, unit in module.kernels.items()},
            hosts=[unit.object for unit in module.hosts],
            toolchain=prepared.toolchain,
            work=prepared.work / "modules",
            cache=settings.cache_dir / "modules",
        )
        for module in prepared.modules
    }


def inspect_modules(built: Built) -> tuple[Inspected, ...]:
    """Read every module and judge it.

    Raises :class:`InspectionError` with all findings of all modules.
    """
    toolchain, policy = built.prepared.toolchain, load_policy()
    seen: dict[Path, KernelFacts] = {}
    inspected, problems = [], []
    for units in built.prepared.modules:
        linked = built.modules[units.module.name]
        for path in linked.code_objects.values():
            if path not in seen:
                seen[path] = known_facts(path, toolchain)
        kernels = {name: seen[path] for name, path in linked.code_objects.items()}
        elf = elf_facts(linked.path)
        found = judge(units.module, elf, kernels, policy)
        problems += [f"{units.module.name}: {finding}" for finding in found]
        inspected.append(Inspected(planned=units.module, linked=linked, elf=elf, kernels=kernels))
    if problems:
        raise InspectionError("modules may not ship:", problems)
    return tuple(inspected)
