"""Small values that several test files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prebuild.compile.flags import Flags
from prebuild.compile.units import Unit, plan_units
from prebuild.core.model import Plan
from prebuild.core.project import Project
from prebuild.core.source import SourceState
from prebuild.generate import fileset
from prebuild.generate.sources import generate
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe, find_recipes, load_recipes, narrow
from prebuild.toolchain import Toolchain
from prebuild.toolchain.model import CodeGenerator

PROJECT = Project.here()
STOCK = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"


def kimi(**narrowed: Any) -> Recipe:
    """The first recipe, narrowed."""
    (recipe,) = load_recipes(find_recipes(["kimi-k2.5-mxfp4"], PROJECT.recipes))
    return narrow(recipe, **narrowed)


def kimi_plan(**narrowed: Any) -> Plan:
    """The plan of the narrowed first recipe alone."""
    return make_plan([kimi(**narrowed)])


def write_recipe(path: Path, **changes: Any) -> Path:
    """Write a good recipe with some keys changed; None removes a key."""
    import yaml

    raw: dict[str, Any] = {
        "schema": 1,
        "name": "test",
        "model": "Test",
        "hidden_size": 7168,
        "moe_inter_dim": {2: 1024},
        "experts": 384,
        "top_k": 8,
        "activation_dtype": "fp4x2",
        "weight_dtype": "fp4x2",
        "quant": "per_1x32",
        "activation": "silu",
        **changes,
    }
    path.write_text(yaml.safe_dump({key: value for key, value in raw.items() if value is not None}))
    return path


FLAGS = Flags(device=("-O3",), host=("-O2",), left_out=())
SOURCE = SourceState(commit="0" * 40, dirty=False, epoch=315532800)


def toolchain(root: Path, identity: str = "one", codegen: CodeGenerator | None = None) -> Toolchain:
    return Toolchain(
        kind="debian",
        root=root,
        clangxx=root / "clang++",
        hip_flags=(f"--config={root}/clang.cfg",),
        host_flags=(f"--config={root}/clang.cfg",),
        llvm_bin=root,
        ck_include=root,
        ck_version="7.2.4",
        ck_licence=None,
        hip_version="7.2.4",
        compiler_version="clang 22",
        python_include=(),
        hip_runtime=None,
        python=None,
        codegen=codegen,
        identity=identity,
    )


def units(
    root: Path,
    plan: Plan,
    *,
    identity: str = "one",
    flags: Flags = FLAGS,
    codegen: CodeGenerator | None = None,
) -> list[Unit]:
    fileset.write(generate(plan, PROJECT.templates), root / "src")
    modules = plan_units(
        plan,
        csrc=PROJECT.csrc,
        generated=root / "src",
        objects=root / "objects",
        toolchain=toolchain(root, identity, codegen),
        flags=flags,
    )
    return [unit for module in modules for unit in (*module.kernels.values(), *module.hosts)]
