"""From config settings to a finished wheel: the composition that the PEP 517 backend calls."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from aiter_prebuilt.wheel.manifest import BuildRecord, Manifest
from prebuild.core import console
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.core.source import UNKNOWN
from prebuild.inspect import aiter_code
from prebuild.pipeline import build as pipeline
from prebuild.pipeline.kernels import examine, problems, run
from prebuild.pipeline.manifest import make_manifest, with_compared
from prebuild.plan.make import make_plan
from prebuild.toolchain import ck_abilities
from prebuild.toolchain.pin import Pin, read_pin
from prebuild.verify.verdict import into_manifest
from prebuild.wheel.config import WheelConfig, configured_recipes
from prebuild.wheel.judges import audit_abi3, check_files, check_size, repair
from prebuild.wheel.sbom import SBOM_NAME, make_sbom
from prebuild.wheel.stage import Staged, stage, write_manifest
from prebuild.wheel.version import own_version, package_digest, package_files, project_version

SIZE_BUDGET = 12_000_000
"""Bytes of the wheel with all recipes."""


@dataclass(frozen=True, kw_only=True)
class PreparedWheel:
    """Modules built, inspected and laid out; what is left is packing."""

    project: Project
    staged: Staged
    version: str
    """With its local label where it is not the published one."""
    epoch: int


def prepare_wheel(config: WheelConfig) -> PreparedWheel:
    """Build what ``config`` asks for and lay it out below ``build/stage``."""
    project, settings = Project.here(), Settings.here()
    recipes = configured_recipes(config, project)
    plan = make_plan(recipes, ck_abilities(settings))
    compared = aiter_code.read(project.aiter_code)
    prepared = pipeline.prepare(plan, project=project, settings=settings, work=project.build)
    with console.progress("compiling") as on_done:
        built = pipeline.build(
            prepared, settings=settings, launcher=config.launcher, on_done=on_done
        )
    inspected = pipeline.inspect_modules(built)
    source = prepared.source
    manifest = make_manifest(
        version=project_version(project.root),
        plan=plan,
        recipes=recipes,
        modules=inspected,
        toolchain=prepared.toolchain,
        flags=prepared.flags,
        source=source,
        container=settings.container,
    )
    manifest = with_compared(manifest, inspected, compared)
    if not _published(config, manifest.build, read_pin(project.matrix)):
        own = own_version(
            manifest.version,
            manifest.modules,
            manifest.build,
            package_digest(project.root),
            verified=config.verify == "stop",
        )
        manifest = dataclasses.replace(manifest, version=own)
    sbom = make_sbom(manifest, prepared.toolchain, epoch=source.epoch)
    staged = stage(
        manifest,
        [module.linked.path for module in inspected],
        licences=_licences(prepared.toolchain.ck_licence),
        sboms={SBOM_NAME: sbom},
        directory=project.build / "stage",
    )
    if config.verify != "off":
        examined = verify_staged(manifest, staged, settings, stop=config.verify == "stop")
        write_manifest(examined, staged)
    return PreparedWheel(
        project=project, staged=staged, version=manifest.version, epoch=source.epoch
    )


def _published(config: WheelConfig, build: BuildRecord, pin: Pin) -> bool:
    """Whether this is what a release publishes.

    All recipes with whole modules, built by the release container's own compiler with the
    composable kernel of ``pin`` from a clean commit, every kernel checked.
    """
    everything = config == WheelConfig(coverage="full", launcher=config.launcher)
    released = build.toolchain == "rocm" and build.container is not None
    committed = build.source_commit != UNKNOWN and not build.source_dirty
    return everything and released and build.ck_version == pin.ck_version and committed


def verify_staged(
    manifest: Manifest, staged: Staged, settings: Settings, *, stop: bool
) -> Manifest:
    """Run every kernel of the staged modules; returns the manifest with the verdicts in it.

    Raises ``VerificationError`` where a kernel is wrong or could not be run and ``stop`` is set;
    otherwise such kernels are only told.
    """
    # With the manifest, by which the modules' own launches are recorded.
    if stop:
        return into_manifest(manifest, run(staged.directory, settings=settings))
    examined = examine(staged.directory, settings=settings)
    for problem in problems(examined):
        console.err.print(problem, markup=False)
    return into_manifest(manifest, examined.verdicts)


def finish_wheel(packed: Path, directory: Path, prepared: PreparedWheel) -> Path:
    """Tag a packed wheel by its binaries and let every judge see it.

    Only a wheel that all of them pass gets into ``directory``; returns its path there.
    """
    wheel = repair(packed, epoch=prepared.epoch)
    audit_abi3(wheel)
    check_files(wheel, expected_files(prepared))
    check_size(wheel, SIZE_BUDGET)
    directory.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(wheel, directory / wheel.name))


def expected_files(prepared: PreparedWheel) -> list[str]:
    """Every path that the wheel has to hold, metadata aside."""
    root = prepared.project.root
    package = [path.relative_to(root).as_posix() for path in package_files(root)]
    site = [path.name for path in sorted((root / "packaging" / "site").iterdir())]
    return [*package, *prepared.staged.include.values(), *site]


def _licences(ck_licence: Path | None) -> dict[str, Path]:
    return {} if ck_licence is None else {"composable_kernel.txt": ck_licence}
