"""``prebuild container``, ``matrix``, ``judge`` and the like: what the release targets call."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from aiter_prebuilt import generations
from prebuild.aiter.repository import Repository
from prebuild.core.console import err
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.core.wheelfile import check_wheel
from prebuild.pipeline.wheel import SIZE_BUDGET
from prebuild.release import container as containers
from prebuild.release.engine import Engine
from prebuild.release.gate import judge_wheel
from prebuild.release.join import join
from prebuild.release.matrix import jobs, read_matrix
from prebuild.release.pythons import candidates, distinct
from prebuild.release.reproduce import file_sha256, reproduce
from prebuild.release.room import make_room
from prebuild.release.smoke import Smoked, smoke, try_installed
from prebuild.release.version import check_version, section
from prebuild.toolchain import load as load_toolchain
from prebuild.toolchain.pin import raised
from prebuild.wheel.version import project_repository, project_version

container = typer.Typer(help="Build wheels in a container.", no_args_is_help=True)

Pythons = Annotated[
    list[Path] | None,
    typer.Option("--python", help="A CPython; default: those that this machine has."),
]

Image = Annotated[str, typer.Option(help="An image of packaging/containers.")]
Config = Annotated[
    list[str] | None, typer.Option("-C", help="KEY=VALUE, as for the build backend.")
]


@container.command(name="build")
def container_build(
    pythons: Pythons = None,
    force: Annotated[bool, typer.Option(help="Bootstrap the base anew.")] = False,
) -> None:
    """Build the local container from Debian's packages."""
    settings = Settings.here()
    chosen = pythons or [program for program, prefix in _found().values() if prefix != Path("/usr")]
    digest = containers.build(Project.here(), settings, pythons=chosen, say=_say, force=force)
    typer.echo(f"{containers.IMAGE}@{digest}")


@container.command(name="rocm")
def container_rocm(
    image: Annotated[str, typer.Argument(help="An image of AMD's, better by digest.")],
) -> None:
    """Build the release container on an image of AMD's, which is pulled."""
    digest = containers.build_rocm(Project.here(), image)
    typer.echo(f"{containers.ROCM_IMAGE}@{digest}")


def room() -> None:
    """See that a ROCm image fits on this disk; on a hosted runner make room for it."""
    project = Project.here()
    images = Engine.find(containers.configuration(project)).image_folder()
    disk, settings = read_matrix(project.matrix).disk, Settings.here()
    make_room(disk, images, hosted=settings.hosted, say=lambda text: err.print(text, markup=False))


def pin(
    repository: Annotated[Path, typer.Argument(help="AITER's repository, or a mirror of it.")],
) -> None:
    """Pin the composable kernel of the newest AITER that is known, for the next release."""
    matrix, newest = Project.here().matrix, generations.load().releases[-1]
    commit = Repository.at(repository).composable_kernel(newest.commit)
    text = matrix.read_text(encoding="utf-8")
    made = raised(text, release=newest.tag, aiter_commit=newest.commit, ck_commit=commit)
    matrix.write_text(made, encoding="utf-8")
    state = "as before" if made == text else "changed"
    typer.echo(f"AITER {newest.tag}: composable kernel {commit} ({matrix.name} is {state})")


@container.command(name="run", context_settings={"ignore_unknown_options": True})
def container_run(
    command: Annotated[list[str], typer.Argument(help="After --: make TARGET NAME=VALUE ...")],
    image: Image = containers.IMAGE,
) -> None:
    """Run a make target in a container, on a checkout of HEAD."""
    containers.run(Project.here(), image, command, settings=Settings.here())


@container.command(name="cibuildwheel")
def container_cibuildwheel(
    image: Image = containers.IMAGE,
    config: Config = None,
    out: Annotated[Path, typer.Option(help="Where the wheel goes.")] = Path("wheelhouse"),
) -> None:
    """Build, repair and test the wheel of HEAD with cibuildwheel, in a container."""
    settings = Settings.here()
    pairs = _pairs(config or ())
    made = containers.cibuildwheel(
        Project.here(), settings, image=image, config=pairs, out=out.absolute()
    )
    for wheel in made:
        typer.echo(str(wheel))


def _pairs(given: Sequence[str]) -> dict[str, str]:
    """Values of a key that is given twice are one list, as the backend reads it."""
    values: dict[str, list[str]] = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r} is no KEY=VALUE")
        values.setdefault(key, []).append(value)
    return {key: ",".join(found) for key, found in values.items()}


def matrix(
    as_json: Annotated[bool, typer.Option("--json", help="For the wheel workflow.")] = False,
    only: Annotated[str | None, typer.Option(help="compile, wheel or prove alone.")] = None,
) -> None:
    """Print the jobs of the wheel workflow."""
    made = jobs(read_matrix(Project.here().matrix))
    stages = [name for name, value in made.items() if isinstance(value, dict)]
    if only is not None and only not in stages:
        raise typer.BadParameter(f"{only!r} is no stage; there are {', '.join(stages)}")
    if as_json:
        typer.echo(json.dumps(made if only is None else made[only], sort_keys=True))
        return
    for stage in stages:
        for job in made[stage]["include"]:
            typer.echo(f"{stage:8} " + "  ".join(f"{key}={text}" for key, text in job.items()))


def judge(
    wheels: Annotated[list[Path], typer.Argument(help="Finished wheels.")],
    runtimes: Annotated[
        list[Path] | None,
        typer.Option("--runtime", help="A libamdhip64.so.7; default: the toolchain's."),
    ] = None,
) -> None:
    """Judge finished wheels: symbols against real HIP runtimes, bytes, SBOM, abi3, size."""
    settings = Settings.here()
    own = () if runtimes else (load_toolchain(settings).hip_runtime,)
    chosen = tuple(runtimes or [path for path in own if path is not None])
    if not chosen:
        raise typer.BadParameter("this toolchain has no libamdhip64.so.7; name one (--runtime)")
    for wheel in wheels:
        judged = judge_wheel(wheel, runtimes=chosen, budget=SIZE_BUDGET)
        typer.echo(f"{judged.wheel.name}  {judged.size} bytes  sha256 {judged.sha256}")
        typer.echo("  asks for " + ", ".join(f"{k}{v}" for k, v in judged.floors.items()))
        typer.echo(f"  {judged.modules} modules for {', '.join(judged.gfx_targets)}")
        typer.echo(f"  {len(judged.hip_symbols)} HIP symbols, offered by:")
        for path in judged.runtimes:
            typer.echo(f"    {path}")


def reproduce_command(
    config: Config = None,
    image: Image = containers.IMAGE,
    kernels: Annotated[int, typer.Option(help="Compile so many kernels anew, too.")] = 1,
) -> None:
    """Build HEAD's wheel here and in a container, compare byte for byte."""
    settings = Settings.here()
    pairs = _pairs(config or ())
    same = reproduce(Project.here(), settings, image=image, config=pairs, kernels=kernels, say=_say)
    typer.echo(f"{same.name}: the same bytes twice, sha256 {same.sha256}")
    typer.echo(f"compiled anew in the second build: {same.compiled} objects of {same.objects}")


def join_command(
    parts: Annotated[Path, typer.Argument(help="Folder with a folder for each part.")],
) -> None:
    """Join what the shards compiled (objects, costs) in this machine's cache."""
    joined = join(parts, Settings.here().cache_dir)
    typer.echo(f"{joined.parts} parts: {joined.objects} new objects, {joined.costs} costs")


def sums(
    wheels: Annotated[list[Path], typer.Argument(help="Finished wheels, of one folder.")],
) -> None:
    """Write SHA256SUMS beside wheels."""
    for wheel in wheels:
        check_wheel(wheel)
    lines = [f"{file_sha256(wheel)}  {wheel.name}\n" for wheel in sorted(wheels)]
    target = wheels[0].with_name("SHA256SUMS")
    target.write_text("".join(lines), encoding="utf-8")
    typer.echo(target.read_text(encoding="utf-8"), nl=False)


def release_version(
    tag: Annotated[str, typer.Argument(help="v1.2.3, or nothing to print the version.")] = "",
) -> None:
    """Check that tag, version and CHANGELOG.md say the same."""
    project = Project.here()
    changelog = (project.root / "CHANGELOG.md").read_text(encoding="utf-8")
    check_version(project_version(project.root), tag, changelog, project_repository(project.root))
    typer.echo(project_version(project.root))


def notes() -> None:
    """Print the newest section of CHANGELOG.md, for the release page."""
    project = Project.here()
    changelog = (project.root / "CHANGELOG.md").read_text(encoding="utf-8")
    typer.echo(section(changelog, project_version(project.root)))


def smoke_command(
    wheels: Annotated[list[Path], typer.Argument(help="Wheels to install.")] = [],  # noqa: B006
    pythons: Pythons = None,
    installed_in: Annotated[
        Path | None, typer.Option(help="Instead: a Python where it is installed.")
    ] = None,
) -> None:
    """Install wheels in clean environments of several CPythons, load what is in them."""
    toolchain = load_toolchain(Settings.here())
    if installed_in is not None:
        _tell(try_installed(installed_in, toolchain))
        return
    if not wheels:
        raise typer.BadParameter("name a wheel, or a Python with --installed-in")
    own = [] if toolchain.python is None else [toolchain.python]
    chosen = pythons or [program for program, _ in _found(*own).values()]
    for wheel in wheels:
        for seen in smoke(wheel.absolute(), chosen, toolchain, say=_say):
            _tell(seen)


def _tell(seen: Smoked) -> None:
    real = f", also with {seen.real_hip.name} itself" if seen.real_hip else ""
    typer.echo(f"CPython {seen.python}: files sound, hook there, {seen.modules} modules load{real}")


def _found(*more: Path) -> dict[tuple[int, int], tuple[Path, Path]]:
    here = candidates([Path(part) for part in os.get_exec_path()], Path.home())
    return distinct([*here, *more])


def _say(text: str) -> None:
    err.print(f"{text} ...", markup=False)
