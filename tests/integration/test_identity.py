"""The comparison with AITER's machine code, on a stand-in of AITER that generates what we say."""

from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.bench.fourinone import TorchHeaders, source
from prebuild.bench.identity import Comparison, compare
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.pipeline import build as pipeline
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import find_recipes, load_recipes, narrow

pytestmark = pytest.mark.toolchain

INSTANCE = "gemm2_256x32x128x128"
# Writes an instance as AITER's generator does: all of its kernels in one unit.
GENERATOR = """\
import pathlib, sys
from chip_info import get_gfx
assert get_gfx() == "gfx950"
folder = pathlib.Path(sys.argv[sys.argv.index("-w") + 1]) / "instances"
folder.mkdir(exist_ok=True)
(folder / "{name}.cu").write_text({text!r})
"""


@pytest.fixture(scope="module")
def prepared(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> pipeline.Prepared:
    project = Project.here()
    (recipe,) = load_recipes(find_recipes(["kimi-k2.5-mxfp4"], project.recipes))
    plan = make_plan([narrow(recipe, tp=[8], block_m=[32])])
    work = tmp_path_factory.mktemp("identity")
    return pipeline.prepare(plan, project=project, settings=settings, work=work)


def standin(folder: Path, prepared: pipeline.Prepared, *, name: str, text: str) -> Path:
    """An AITER checkout whose sources are our own headers, and whose generator writes ``text``."""
    codegen = folder / "csrc" / "ck_gemm_moe_2stages_codegen"
    codegen.mkdir(parents=True)
    (codegen / "gen_instances.py").write_text(GENERATOR.format(name=name, text=text))
    (module,) = prepared.plan.modules
    for header in (prepared.work / "src" / module.name / "instances").iterdir():
        (codegen / header.name).symlink_to(header)
    (folder / "csrc" / "include").symlink_to(Project.here().csrc)
    (folder / "aiter").mkdir()
    (folder / "aiter" / "fused_moe.py").touch()
    return folder


def compared(prepared: pipeline.Prepared, settings: Settings, path: Path) -> Comparison:
    return compare(
        prepared,
        path=path,
        torch=TorchHeaders(include=()),
        objects=settings.cache_dir / "objects",
        on_done=lambda _finished, _total, _unit: None,
    )


def test_what_aiter_generates_is_compared_kernel_by_kernel(
    prepared: pipeline.Prepared, settings: Settings, tmp_path: Path
) -> None:
    (name,) = [one.name for one in prepared.plan.modules[0].built if INSTANCE in one.name]
    text = source(name, torch=False)
    found = compared(prepared, settings, standin(tmp_path / "a", prepared, name=name, text=text))
    there = [one for one in found.kernels if one.kernel.startswith(name)]
    assert there
    assert {one.likeness for one in there} <= {"bytes", "code"}
    rest = [one for one in found.kernels if one not in there]
    assert {one.likeness for one in rest} == {"absent"}
    assert not found.same

    other = "#define __builtin_amdgcn_readfirstlane(...) (__VA_ARGS__)\n" + text
    found = compared(prepared, settings, standin(tmp_path / "b", prepared, name=name, text=other))
    changed = [one for one in found.kernels if one.kernel.startswith(name)]
    assert {one.likeness for one in changed} == {"other"}
    assert all(one.detail for one in changed)


def test_a_unit_that_this_composable_kernel_does_not_take_is_absent_and_no_error(
    prepared: pipeline.Prepared, settings: Settings, tmp_path: Path
) -> None:
    (name,) = [one.name for one in prepared.plan.modules[0].built if INSTANCE in one.name]
    path = standin(tmp_path, prepared, name=name, text="#error too new\n")
    found = compared(prepared, settings, path)
    details = {one.detail for one in found.kernels if one.kernel.startswith(name)}
    assert details == {"AITER's unit does not compile here: too new"}
