"""A build with an object cache of its own, so that it is cold whatever was compiled before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prebuild.compile.costs import CostBook
from prebuild.compile.units import ModuleUnits, Unit
from prebuild.core.model import OnDone, Plan
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.pipeline import build as pipeline


def build_in(
    cache: Path,
    plan: Plan,
    *,
    project: Project,
    settings: Settings,
    work: Path,
    on_done: OnDone = lambda _finished, _total, _unit: None,
) -> pipeline.Built:
    """Compile, link and inspect ``plan`` with objects, modules and costs below ``cache``.

    The toolchain is the one of ``settings``; recorded costs are read there, too, so that the
    order of the compiles is that of a usual build.
    """
    prepared = pipeline.prepare(plan, project=project, settings=settings, work=work)
    moved, own = elsewhere(prepared, settings, cache)
    built = pipeline.build(moved, settings=own, on_done=on_done)
    pipeline.inspect_modules(built)
    return built


def elsewhere(
    prepared: pipeline.Prepared, settings: Settings, cache: Path
) -> tuple[pipeline.Prepared, Settings]:
    """Return the same build with objects, modules and costs below ``cache``."""
    modules = tuple(move_objects(module, cache) for module in prepared.modules)
    moved = replace(prepared, modules=modules, book=_book(settings, cache))
    return moved, replace(settings, cache_dir=cache)


def move_objects(module: ModuleUnits, cache: Path) -> ModuleUnits:
    """Return the same units with their objects in another cache."""

    def move(unit: Unit) -> Unit:
        return replace(unit, object=cache / "objects" / unit.object.parent.name / unit.object.name)

    return replace(
        module,
        kernels={name: move(unit) for name, unit in module.kernels.items()},
        hosts=tuple(move(unit) for unit in module.hosts),
    )


def _book(settings: Settings, cache: Path) -> CostBook:
    recorded = settings.cache_dir / "costs.json"
    copy = cache / "costs.json"
    if recorded.is_file() and not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(recorded.read_bytes())
    return CostBook(copy)
