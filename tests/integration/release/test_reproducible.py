"""The same bytes from other folders, at other times; `make reproduce` is the long form of it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prebuild.compile.build import compile_units
from prebuild.compile.costs import CostBook
from prebuild.compile.flags import resolve_flags
from prebuild.compile.units import Unit, plan_units
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.generate import fileset
from prebuild.generate.sources import generate
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import find_recipes, load_recipes, narrow
from prebuild.release.reproduce import differences, file_sha256
from prebuild.toolchain import Toolchain
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain
PROJECT = Project.here()


def build(origin: Path, checkout: Path, umask: int) -> Path:
    subprocess.run(["git", "clone", "--quiet", origin, checkout], check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    options = ["-C", "recipe=kimi-k2.5-mxfp4"]
    before = os.umask(umask)
    try:
        subprocess.run(
            [*command, checkout / "dist", *options, checkout],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": f"{checkout / 'packaging'}:{checkout}"},
        )
    finally:
        os.umask(before)
    (wheel,) = (checkout / "dist").glob("*.whl")
    return wheel


def test_a_real_wheel_has_the_same_bytes_in_another_folder_with_another_umask(
    kimi: KimiWheel, tmp_path: Path
) -> None:
    assert kimi.path  # its objects are in the cache now
    first = build(PROJECT.root, tmp_path / "one", 0o022)
    second = build(tmp_path / "one", tmp_path / "two" / "deeper", 0o077)
    assert differences(first, second) == []
    assert file_sha256(first) == file_sha256(second)


def host_units(csrc: Path, work: Path, toolchain: Toolchain, settings: Settings) -> list[Unit]:
    (recipe,) = load_recipes(find_recipes(["kimi-k2.5-mxfp4"], PROJECT.recipes))
    plan = make_plan([narrow(recipe, tp=[8], block_m=[32], coverage=None)])
    fileset.write(generate(plan, csrc / "templates"), work / "src")
    modules = plan_units(
        plan,
        csrc=csrc,
        generated=work / "src",
        objects=work / "objects",
        toolchain=toolchain,
        flags=resolve_flags(toolchain, settings.cache_dir),
    )
    return list(modules[0].hosts)


def test_objects_do_not_depend_on_where_their_sources_lie(
    toolchain: Toolchain, settings: Settings, tmp_path: Path
) -> None:
    made: list[dict[str, str]] = []
    for name in ("one", "two/deeper"):
        work = tmp_path / name
        csrc = work / "csrc"
        shutil.copytree(PROJECT.csrc, csrc)
        units = host_units(csrc, work, toolchain, settings)
        compile_units(units, toolchain=toolchain, work=work, book=CostBook(work / "costs.json"))
        made.append({unit.id: file_sha256(unit.object) for unit in units})
    assert len(made[0]) > 4
    assert made[0] == made[1]


def test_a_key_holds_no_path(toolchain: Toolchain, settings: Settings, tmp_path: Path) -> None:
    moved = dataclasses.replace(toolchain, root=tmp_path, clangxx=tmp_path / "clang++")
    first = host_units(PROJECT.csrc, tmp_path / "one", toolchain, settings)
    second = host_units(PROJECT.csrc, tmp_path / "two", moved, settings)
    assert [unit.key for unit in first] == [unit.key for unit in second]
