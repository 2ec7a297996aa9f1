"""Build a wheel twice, as differently as this machine allows, and compare the bytes.

The first build runs here, from a checkout in one folder, with what the object cache has.  The
second runs in the container: another folder, another time, another place of the toolchain, another
libc and Python under the build script, and all host objects and some kernels compiled anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.compile.costs import CostBook, longest_first
from prebuild.compile.units import Unit
from prebuild.core import proc
from prebuild.core.errors import ProblemsError
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.pipeline import build as pipeline
from prebuild.plan.make import make_plan
from prebuild.release import container
from prebuild.toolchain import ck_abilities
from prebuild.wheel.config import configured_recipes, parse_config


class NotReproducibleError(ProblemsError):
    """Two builds of one commit differ; holds the members of the wheel that do."""

    exit_code = 6


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """Two builds gave the same bytes."""

    name: str
    sha256: str
    compiled: int
    """Objects that the second build compiled itself."""
    objects: int


def reproduce(
    project: Project,
    settings: Settings,
    *,
    image: str,
    config: Mapping[str, str],
    kernels: int,
    say: Callable[[str], None],
) -> Reproduced:
    """Build HEAD's wheel twice; raises :class:`NotReproducibleError` where they differ."""
    container.require_images_compiler(settings)
    options = [part for key, value in config.items() for part in ("-C", f"{key}={value}")]
    with tempfile.TemporaryDirectory(prefix="prebuild-reproduce-") as scratch:
        folder = Path(scratch)
        say("first build: here")
        first = _build_here(project, folder / "one" / "checkout", options)
        prepared = _units(folder / "one" / "checkout", settings, config)
        seeded = seed_objects(prepared.units, prepared.book, folder / "cache" / "objects", kernels)
        objects = len(prepared.units)
        say(f"second build: in {image}, {seeded} of {objects} objects from the first, rest anew")
        # From the first checkout: HEAD may have moved on meanwhile.
        same_commit = Project(root=folder / "one" / "checkout")
        own = dataclasses.replace(settings, cache_dir=folder / "cache")
        second = _build_inside(same_commit, own, folder, image, options)
        problems = differences(first, second)
        if problems:
            raise NotReproducibleError(f"two builds of {first.name} differ:", problems)
        return Reproduced(
            name=first.name,
            sha256=file_sha256(first),
            compiled=objects - seeded,
            objects=objects,
        )


def _build_here(project: Project, checkout: Path, options: list[str]) -> Path:
    container.clone(project, checkout)
    paths = f"{checkout / 'packaging'}:{checkout}"
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", *options]
    proc.run([*command, "--outdir", checkout / "dist", checkout], env={"PYTHONPATH": paths})
    return _only_wheel(checkout / "dist")


def _build_inside(
    project: Project, settings: Settings, folder: Path, image: str, options: list[str]
) -> Path:
    """The digest of the image stays out of the build record, which the first build has none of."""
    checkout = folder / "two"
    container.clone(project, checkout)
    command = [f"{container.TOOLS}/bin/python", "-m", "build", "--wheel", "--no-isolation"]
    container.run(
        Project(root=checkout),
        image,
        ["sh", "-c", 'umask 027 && exec "$@"', "sh", *command, *options],
        settings=settings,
        named=False,
    )
    return _only_wheel(checkout / "dist")


def seed_objects(units: Sequence[Unit], book: CostBook, target: Path, leave_out: int) -> int:
    """Copy the kernels among ``units`` to a cache of their own, less the ``leave_out`` cheapest.

    Host objects stay out.  Returns how many were copied.
    """
    target.mkdir(parents=True, exist_ok=True)
    kernels = longest_first([unit for unit in units if unit.kind == "kernel"], book)
    copied = kernels[: max(len(kernels) - leave_out, 0)]
    for unit in copied:
        copy = target / unit.object.parent.name / unit.object.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(unit.object, copy)
    return len(copied)


def _units(checkout: Path, settings: Settings, config: Mapping[str, str]) -> pipeline.Prepared:
    project = Project(root=checkout)
    plan = make_plan(configured_recipes(parse_config(config), project), ck_abilities(settings))
    return pipeline.prepare(plan, project=project, settings=settings, work=checkout / "build")


def differences(first: Path, second: Path) -> list[str]:
    """What differs between two wheels: names, members, and at last the archives themselves."""
    if first.name != second.name:
        return [f"their names: {first.name}, {second.name}"]
    if first.read_bytes() == second.read_bytes():
        return []
    one, two = _members(first), _members(second)
    problems = [f"{name} is in one of them only" for name in sorted(one.keys() ^ two.keys())]
    problems += [
        f"{name} differs" for name in sorted(one.keys() & two.keys()) if one[name] != two[name]
    ]
    return problems or ["the archives' own structure (times, modes, order, compression)"]


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _only_wheel(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel
