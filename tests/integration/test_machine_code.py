"""One kernel to a translation unit gives the machine code that four in one give."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prebuild.bench import fourinone
from prebuild.bench.machinecode import differences, kernels
from prebuild.compile.build import compile_units
from prebuild.core import proc
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.inspect.codeobject import disassemble
from prebuild.pipeline import build as pipeline
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import find_recipes, load_recipes, narrow

pytestmark = pytest.mark.toolchain

INSTANCE = "gemm1_64x32x32x128"


def test_four_split_kernels_are_those_of_the_four_in_one_unit(tmp_path: Path) -> None:
    project, settings = Project.here(), Settings.from_environ(os.environ)
    (recipe,) = load_recipes(find_recipes(["kimi-k2.5-mxfp4"], project.recipes))
    plan = make_plan([narrow(recipe, tp=[2], coverage="full")])
    prepared = pipeline.prepare(plan, project=project, settings=settings, work=tmp_path)
    (module,) = prepared.modules
    (instance,) = [i for i in module.module.built if INSTANCE in i.name]

    unit, output = tmp_path / "four.cu", tmp_path / "four.co"
    unit.write_text(fourinone.source(instance.name, torch=False))
    proc.run(
        fourinone.command(
            unit,
            output,
            toolchain=prepared.toolchain,
            flags=prepared.flags,
            include=(tmp_path / "src" / module.module.name / "instances", project.csrc),
            device_only=True,
        )
    )
    four = kernels(disassemble(output, prepared.toolchain))

    split = [module.kernels[kernel.id] for kernel in instance.kernels]
    assert len(split) == 4
    compile_units(split, toolchain=prepared.toolchain, work=tmp_path, book=prepared.book)
    seen = set()
    for kernel in split:
        code = kernels(disassemble(kernel.object, prepared.toolchain))
        assert differences(code, four) == []
        real = {name for name, lines in code.items() if len(lines) > 100}
        assert len(real) == 1
        seen |= real
    assert len(seen) == 4
    # What else is in there: CK's cache flush, and bodies for wave32 that end at once.
    assert {name for name, lines in four.items() if len(lines) > 100} == seen
