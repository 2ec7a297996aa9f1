from __future__ import annotations

from pathlib import Path

from prebuild.compile.costs import CostBook
from prebuild.compile.units import plan_units
from prebuild.generate.fileset import write
from prebuild.generate.sources import generate
from prebuild.pipeline.build import Prepared
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import find_recipes, load_recipes
from tests.unit.prebuild.samples import FLAGS, PROJECT, SOURCE, toolchain


def prepared(work: Path, name: str) -> Prepared:
    """What :func:`prebuild.pipeline.build.prepare` makes, with a toolchain that is none."""
    plan = make_plan(load_recipes(find_recipes([name], PROJECT.recipes)))
    write(generate(plan, PROJECT.templates), work / "src")
    tools = toolchain(work)
    modules = plan_units(
        plan,
        csrc=PROJECT.csrc,
        generated=work / "src",
        objects=work / "objects",
        toolchain=tools,
        flags=FLAGS,
    )
    return Prepared(
        plan=plan,
        toolchain=tools,
        flags=FLAGS,
        modules=modules,
        work=work,
        book=CostBook(work / "costs.json"),
        source=SOURCE,
    )


def test_a_kernel_that_two_modules_share_is_compiled_once(tmp_path: Path) -> None:
    found = prepared(tmp_path, "qwen3-235b-bf16")
    on, off = found.modules
    assert on.module.name != off.module.name
    assert set(on.kernels) == set(off.kernels)
    for name, unit in on.kernels.items():
        assert (unit.key, unit.object) == (off.kernels[name].key, off.kernels[name].object)
    kernels = [unit.id for unit in found.units if unit.kind == "kernel"]
    assert sorted(kernels) == sorted(on.kernels)
    # Launchers do not name their module either; each module's own table does.
    assert [unit.kind for unit in found.units].count("launcher") == 1
    tables = {unit.id for unit in found.units if unit.id.startswith("module.")}
    assert tables == {f"module.{item.module.key[:8]}" for item in found.modules}
