"""The command ``prebuild harvest``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from prebuild.core.project import Project
from prebuild.harvest.read import Harvested, HarvestError, Source, harvest
from prebuild.harvest.wheel import write_wheel
from prebuild.wheel.version import project_version


def command(
    jit_dir: Annotated[Path, typer.Option(help="AITER's JIT directory.")],
    out: Annotated[Path, typer.Option(help="Folder for the wheel.")] = Path("dist"),
    module: Annotated[list[str] | None, typer.Option(help="Only these; all if none.")] = None,
    package: Annotated[
        Path | None, typer.Option("--aiter", help="AITER's package folder; default: installed.")
    ] = None,
    csrc: Annotated[Path | None, typer.Option(help="AITER's sources.")] = None,
    python: Annotated[str | None, typer.Option(help="If the files do not tell.")] = None,
    torch: Annotated[str | None, typer.Option(help="Version; default: the installed one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Pack modules that an installed AITER has compiled into a wheel."""
    folder = package or _installed("aiter")
    source = Source(
        jit_dir=jit_dir,
        aiter=folder,
        csrc=csrc or _csrc(folder),
        python=python or f"{sys.version_info[0]}.{sys.version_info[1]}",
        torch=torch or _version("torch"),
    )
    found = harvest(source, module or ())
    path = write_wheel(found, version=project_version(Project.here().root), out=out)
    typer.echo(_as_json(path, found) if as_json else _as_text(path, found))


def _installed(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise HarvestError("modules cannot be harvested:", [f"{name} is not installed (--{name})"])
    return Path(spec.submodule_search_locations[0])


def _csrc(package: Path) -> Path:
    """An AITER wheel has its sources in ``aiter_meta``, a checkout beside the package."""
    meta = package.parent / "aiter_meta" / "csrc"
    return meta if meta.is_dir() else package.parent / "csrc"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _as_text(path: Path, found: tuple[Harvested, ...]) -> str:
    lines = [
        f"{entry.module.name}  {','.join(entry.module.gfx_targets) or 'host code only'}  "
        f"CPython {entry.module.cpython_floor}  {entry.module.size} bytes"
        for entry in found
    ]
    return "\n".join([*lines, str(path)])


def _as_json(path: Path, found: tuple[Harvested, ...]) -> str:
    modules = [asdict(entry.module) for entry in found]
    return json.dumps({"schema": 1, "wheel": str(path), "modules": modules}, indent=1)
