"""Modules that "AITER compiled" (real pybind11 extensions), packed by prebuild, served again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pybind11
import pytest

from prebuild.core.project import Project
from prebuild.harvest import Source, harvest, write_wheel
from prebuild.wheel.version import project_version
from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.faults import Stage

NAME = "module_quant"
VERSION = project_version(Project.here().root)
CODE = """
#include <pybind11/pybind11.h>
extern "C" int hipRuntimeGetVersion(int *);
PYBIND11_MODULE(module_quant, m) {
    m.def("where", [] {
        int version = 0;
        hipRuntimeGetVersion(&version);
        return "harvested " + std::to_string(version);
    });
}
"""
FULL = """
#include <pybind11/pybind11.h>
PYBIND11_MODULE(NAME, m) {
    m.def("ck_moe_stage1", [](pybind11::args) { return "jit: pybind11"; });
}
"""
ASK = """
import site, sys, json
site.addsitedir({site!r}); sys.path.insert(0, {site!r})
import importlib
import aiter.jit.core
try:
    answer = importlib.import_module("aiter.jit.module_quant").where()
except ModuleNotFoundError:
    answer = "jit"
import aiter_prebuilt
json.dump([answer, [event.code for event in aiter_prebuilt.reasons()]], sys.stdout)
"""


@pytest.fixture(scope="module")
def compiled(parts: make.Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pybind11 extension as AITER's JIT makes them."""
    folder = tmp_path_factory.mktemp("compiled")
    source = folder / "quant.cpp"
    source.write_text(CODE)
    bundle = folder / "bundle"
    bundle.write_bytes(make.bundle("gfx950"))
    assembly = folder / "fat.s"
    assembly.write_text(f'.section .hip_fatbin, "a", @progbits\n.balign 4096\n.incbin "{bundle}"\n')
    make.compile_c(
        folder / f"{NAME}.so",
        source,
        str(assembly),
        f"-I{pybind11.get_include()}",
        "-std=c++17",
        "-Wl,--no-as-needed",
        str(parts.hip),
        "-lstdc++",
    )
    return folder / f"{NAME}.so"


def test_an_uncovered_call_takes_a_pybind11_build(
    stage: Stage, run: Callable[..., dict[str, Any]]
) -> None:
    builds = stage.site.parent / "builds"
    source = stage.site.parent / "full.cpp"
    source.write_text(FULL.replace("NAME", make.STOCK))
    options = (f"-I{pybind11.get_include()}", "-std=c++17", "-Wl,--no-as-needed", "-lstdc++")
    make.compile_c(builds / f"{make.STOCK}.so", source, *options)
    result = run(topk=99, STANDIN_BUILDS=str(builds))
    assert result["answer"] == "jit: pybind11", result
    assert result["covered"].startswith("prebuilt:")


@pytest.fixture
def jit_dir(stage: Stage, compiled: Path) -> Path:
    """A JIT directory in which AITER has compiled a module."""
    folder = stage.site.parent / "jit"
    folder.mkdir()
    shutil.copy(compiled, folder)
    return folder


def _harvest(stage: Stage, jit_dir: Path, *more: str) -> subprocess.CompletedProcess[str]:
    options = ["--jit-dir", str(jit_dir), "--aiter", str(stage.site / "aiter"), *more]
    code = "from prebuild.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "harvest", "--out", str(stage.site.parent / "dist"), *options],
        env={**os.environ, "PYTHONPATH": f"{make.ROOT / 'packaging'}:{make.ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


def _install(stage: Stage, jit_dir: Path) -> Path:
    source = Source(jit_dir=jit_dir, aiter=stage.site / "aiter", csrc=stage.site / "csrc")
    wheel = write_wheel(harvest(source), version=VERSION, out=stage.site.parent / "dist")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(stage.site)
    return wheel


def _ask(stage: Stage) -> tuple[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-S", "-c", ASK.format(site=str(stage.site))],
        env=stage.env,
        cwd=stage.site,
        capture_output=True,
        text=True,
        check=True,
    )
    answer, codes = json.loads(done.stdout)
    return answer, codes


def test_a_harvested_module_is_served(stage: Stage, jit_dir: Path) -> None:
    wheel = _install(stage, jit_dir)
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert wheel.name.endswith(f"-{python}-{python}-linux_x86_64.whl")
    answer, codes = _ask(stage)
    assert (answer, codes) == ("harvested 70200000", ["served"])


def test_what_the_wheel_says_of_the_module(stage: Stage, jit_dir: Path) -> None:
    wheel = _install(stage, jit_dir)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        manifest: dict[str, Any] = json.loads(
            archive.read(next(name for name in names if name.endswith("manifest.json")))
        )
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    (module,) = manifest["modules"]
    assert module["sha256"] == hashlib.sha256((jit_dir / f"{NAME}.so").read_bytes()).hexdigest()
    assert module["gfx_targets"] == ["gfx950"]
    assert module["harvest"]["cpython"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert module["harvest"]["torch"] is None
    assert module["harvest"]["aiter_version"] == "0.0.1+standin"
    assert "Requires-Dist: aiter-prebuilt-gfx950" in metadata


def test_the_same_modules_give_the_same_wheel(stage: Stage, jit_dir: Path) -> None:
    first = _install(stage, jit_dir).read_bytes()
    assert _install(stage, jit_dir).read_bytes() == first


def test_the_command_packs_the_same_wheel(stage: Stage, jit_dir: Path) -> None:
    done = _harvest(stage, jit_dir)
    assert done.returncode == 0, done.stderr
    by_command = Path(done.stdout.split()[-1]).read_bytes()
    assert by_command == _install(stage, jit_dir).read_bytes()


def test_other_sources_of_aiter_decline_it(stage: Stage, jit_dir: Path) -> None:
    _install(stage, jit_dir)
    with (stage.site / "csrc" / "include" / "aiter_enum.h").open("a") as header:
        header.write("// one more line\n")
    assert _ask(stage) == ("jit", ["aiter-sources"])


def test_another_version_of_aiter_declines_it(stage: Stage, jit_dir: Path) -> None:
    _install(stage, jit_dir)
    (stage.site / "aiter" / "_version.py").write_text("__version__ = '0.0.2'\n")
    assert _ask(stage) == ("jit", ["aiter-sources"])


def test_a_damaged_harvested_module_is_declined(stage: Stage, jit_dir: Path) -> None:
    _install(stage, jit_dir)
    module = next(stage.site.glob("aiter_prebuilt_harvest_*")) / "modules" / f"{NAME}.so"
    module.write_bytes(module.read_bytes()[:-1])
    assert _ask(stage) == ("jit", ["size"])


def test_every_problem_is_told_at_once(stage: Stage, jit_dir: Path) -> None:
    (jit_dir / "module_text.so").write_text("no library")
    (jit_dir / "build").mkdir()
    (jit_dir / "build" / f"lock_{NAME}").touch()
    done = _harvest(stage, jit_dir, "--module", NAME, "--module", "module_text", "--module", "gone")
    assert done.returncode == 6
    for part in ("AITER is building it", "no shared object", "gone: not in"):
        assert part in " ".join(done.stderr.split())


def test_an_empty_folder_is_an_error(stage: Stage) -> None:
    empty = stage.site.parent / "empty"
    empty.mkdir()
    done = _harvest(stage, empty)
    assert done.returncode == 6
    assert "holds no modules" in " ".join(done.stderr.split())
