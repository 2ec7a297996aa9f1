"""``prebuild container``, ``matrix``, ``judge`` and the like: what the release targets call."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from prebuild.console import err
from prebuild.project import Project
from prebuild.release import container as containers
from prebuild.release.matrix import jobs, read_matrix
from prebuild.release.pythons import candidates, distinct
from prebuild.release.smoke import Smoked, smoke, try_installed
from prebuild.settings import Settings
from prebuild.toolchain import load as load_toolchain
from prebuild.wheel.gate import judge_wheel
from prebuild.wheel.make import SIZE_BUDGET

container = typer.Typer(help="Build wheels in a container.", no_args_is_help=True)

Pythons = Annotated[
    list[Path] | None,
    typer.Option("--python", help="A CPython; default: those that this machine has."),
]


@container.command(name="build")
def container_build(
    pythons: Pythons = None,
    force: Annotated[bool, typer.Option(help="Bootstrap the base anew.")] = False,
) -> None:
    """Build the local container from Debian's packages."""
    settings = Settings.from_environ(os.environ)
    chosen = pythons or [program for program, prefix in _found().values() if prefix != Path("/usr")]
    digest = containers.build(Project.here(), settings, pythons=chosen, say=_say, force=force)
    typer.echo(f"{containers.IMAGE}@{digest}")


@container.command(name="cibuildwheel")
def container_cibuildwheel(
    image: Annotated[str, typer.Option(help="Any image of packaging/containers.")] = (
        containers.IMAGE
    ),
    config: Annotated[
        list[str] | None, typer.Option("-C", help="KEY=VALUE, as for the build backend.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the wheel goes.")] = Path("wheelhouse"),
) -> None:
    """Build, repair and test the wheel of HEAD with cibuildwheel, in a container."""
    settings = Settings.from_environ(os.environ)
    pairs = dict(_pair(text) for text in config or ())
    made = containers.cibuildwheel(
        Project.here(), settings, image=image, config=pairs, out=out.absolute()
    )
    for wheel in made:
        typer.echo(str(wheel))


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"{text!r} is no KEY=VALUE")
    return key, value


def matrix(
    as_json: Annotated[bool, typer.Option("--json", help="For the wheel workflow.")] = False,
    only: Annotated[str | None, typer.Option(help="compile, wheel or prove alone.")] = None,
) -> None:
    """Print the jobs of the wheel workflow."""
    made = jobs(read_matrix(Project.here().root / "packaging" / "matrix.toml"))
    if only is not None:
        made = made[only]
    if as_json:
        typer.echo(json.dumps(made, sort_keys=True))
        return
    for stage, value in made.items():
        for job in value["include"] if isinstance(value, dict) else ():
            typer.echo(f"{stage:8} " + "  ".join(f"{key}={text}" for key, text in job.items()))


def judge(
    wheels: Annotated[list[Path], typer.Argument(help="Finished wheels.")],
    runtimes: Annotated[
        list[Path] | None,
        typer.Option("--runtime", help="A libamdhip64.so.7; default: the toolchain's."),
    ] = None,
) -> None:
    """Judge finished wheels: symbols against real HIP runtimes, bytes, SBOM, abi3, size."""
    settings = Settings.from_environ(os.environ)
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


def smoke_command(
    wheel: Annotated[Path | None, typer.Argument(help="The wheel to install.")] = None,
    pythons: Pythons = None,
    installed_in: Annotated[
        Path | None, typer.Option(help="Instead: a Python where it is installed.")
    ] = None,
) -> None:
    """Install a wheel in clean environments of several CPythons, load what is in it."""
    toolchain = load_toolchain(Settings.from_environ(os.environ))
    if installed_in is not None:
        _tell(try_installed(installed_in, toolchain))
        return
    if wheel is None:
        raise typer.BadParameter("name a wheel, or a Python with --installed-in")
    chosen = pythons or [program for program, _ in _found().values()]
    for seen in smoke(wheel.absolute(), chosen, toolchain, say=_say):
        _tell(seen)


def _tell(seen: Smoked) -> None:
    real = f", also with {seen.real_hip.name} itself" if seen.real_hip else ""
    typer.echo(f"CPython {seen.python}: files sound, hook there, {seen.modules} modules load{real}")


def _found() -> dict[tuple[int, int], tuple[Path, Path]]:
    return distinct(candidates([Path(part) for part in os.get_exec_path()], Path.home()))


def _say(text: str) -> None:
    err.print(f"{text} ...", markup=False)
