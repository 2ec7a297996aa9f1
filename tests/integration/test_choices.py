"""The C++ choice of an instance against AITER's names and against the planner, call by call.

The tables of whole modules are compiled as they ship; their launchers are replaced by stubs, so
that nothing of CK is instantiated and every family's table takes a second.
"""

from __future__ import annotations

import ctypes
import itertools
import json
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest

from aiter_prebuilt.call import Call, ModuleKey, Shape
from aiter_prebuilt.choice.dispatch import choose as choose_here
from prebuild.compile.flags import resolve_flags
from prebuild.core import identity, proc
from prebuild.core.model import Plan, PlannedModule
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.generate.sources import generate
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe
from prebuild.toolchain import Toolchain

pytestmark = pytest.mark.toolchain
PROJECT = Project.here()
NAMES = [
    facts
    for facts in json.loads((PROJECT.root / "tests/data/ck2stages_names.json").read_text())
    if not facts["features"]["splitk"]  # the CK at hand cannot build those
]
BLOCK_MS = (16, 32, 33, 64, 128, 256, 512)
INTER_DIMS = (64, 128, 191, 192, 193, 255, 256, 257, 384, 512, 768, 1024, 1536, 2048)
MODEL_DIMS = (4096, 7168, 7168 + 32, 7168 + 64, 7168 + 128)
Choose = Callable[[Call], tuple[str | None, bool, str | None]]

STUB = """
#include "binding.hpp"
#include "dispatch.hpp"
{launchers}
namespace aiter_prebuilt {{ PyObject* init_module() noexcept {{ return nullptr; }} }}
extern "C" __attribute__((visibility("default"))) const char*
chosen(int stage, const char* name, int block_m, int n, int k, int* unknown, const char** replaced)
{{
    const aiter_prebuilt::Choice choice =
        aiter_prebuilt::choose(aiter_prebuilt::kModule, stage, name, block_m, n, k);
    *unknown = choice.name_unknown;
    *replaced = choice.replaced == nullptr ? nullptr : choice.replaced->name.data();
    return choice.instance == nullptr ? nullptr : choice.instance->name.data();
}}
"""
LAUNCHER = (
    'extern "C" aiter_prebuilt::LaunchResult {}(const aiter_prebuilt::Problem&)'
    " {{ return {{aiter_prebuilt::Outcome::kLaunched, hipSuccess}}; }}"
)


def whole_module(features: ModuleKey) -> PlannedModule:
    recipe = Recipe.model_validate(
        {
            "schema": 1, "name": "whole", "model": "m", "hidden_size": 4096,
            "moe_inter_dim": {1: 1024}, "experts": 64, "top_k": 8, "coverage": "full",
            "activation_dtype": features.a_dtype, "weight_dtype": features.b_dtype,
            "output_dtypes": [features.c_dtype], "quant": features.quant,
            "activation": features.activation, "preshuffle": features.preshuffle,
            "routed_weight_stage": features.routed_weight_stage,
        }
    )  # fmt: skip
    (module,) = make_plan([recipe]).modules
    return module


@pytest.fixture(scope="module", params=NAMES, ids=lambda facts: facts["module"])
def facts(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def module(facts: Any) -> PlannedModule:
    return whole_module(ModuleKey(**facts["features"]))


@pytest.fixture(scope="module")
def choose(
    module: PlannedModule,
    toolchain: Toolchain,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Choose:
    """The module's own table and choice, as a function."""
    work = tmp_path_factory.mktemp("choices")
    flags = resolve_flags(toolchain, settings.cache_dir)
    plan = Plan(modules=(module,), recipes={}, exclusions=())
    sources = generate(plan, PROJECT.templates)
    table = work / "module.cpp"
    table.write_text(sources[PurePosixPath(module.name) / "module.cpp"])
    stub = work / "stub.cpp"
    launchers = [LAUNCHER.format(identity.launch_symbol(item.name)) for item in module.built]
    stub.write_text(STUB.format(launchers="\n".join(launchers)))
    library = work / "choices.so"
    python = [part for path in toolchain.python_include for part in ("-isystem", str(path))]
    proc.run([
        toolchain.clangxx, *toolchain.host_flags, *flags.host, f"-I{PROJECT.csrc}", *python,
        "-shared", "-nostdlib++", table, stub, PROJECT.csrc / "dispatch.cpp", "-o", library,
    ])  # fmt: skip
    function = ctypes.CDLL(str(library)).chosen
    function.restype = ctypes.c_char_p

    def call(asked: Call) -> tuple[str | None, bool, str | None]:
        unknown, replaced, gemm = ctypes.c_int(), ctypes.c_char_p(), asked.gemm
        found = function(
            *(asked.stage, asked.kernel_name.encode(), asked.block_m, gemm.n, gemm.k),
            *(ctypes.byref(unknown), ctypes.byref(replaced)),
        )
        return text(found), bool(unknown.value), text(replaced.value)

    return call


def text(found: bytes | None) -> str | None:
    return found.decode() if found is not None else None


def call_of(
    module: PlannedModule, *, inter_dim: int = 1, model_dim: int = 4096, **given: Any
) -> Call:
    return Call(
        features=module.features,
        shape=Shape(model_dim=model_dim, inter_dim=inter_dim, experts=64, topk=8),
        **{"stage": 1, "tokens": 64, "block_m": 33, **given},
    )


def expected(module: PlannedModule, call: Call) -> tuple[str | None, bool, str | None]:
    found = choose_here([instance.facts for instance in module.instances], call)
    replaced = found.replaced.instance.name if found.replaced is not None else None
    return found.instance.name if found.instance else None, found.name_unknown, replaced


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", ["", "moe_ck2stages_gemm1_of_another_day"])
def test_without_a_known_name_the_heuristic_decides(
    choose: Choose, module: PlannedModule, stage: Any, name: str
) -> None:
    for block_m, inter_dim in itertools.product(BLOCK_MS, INTER_DIMS):
        call = call_of(module, inter_dim=inter_dim, stage=stage, block_m=block_m, kernel_name=name)
        assert choose(call) == expected(module, call)


def test_a_name_is_answered_by_its_instance_or_the_right_one_for_it(
    choose: Choose, module: PlannedModule
) -> None:
    """As in Python; and what a rule is about is answered by it, on all of its shapes."""
    replaced = set()
    for instance, inter_dim, model_dim in itertools.product(
        module.instances, INTER_DIMS, MODEL_DIMS
    ):
        call = call_of(
            module, inter_dim=inter_dim, model_dim=model_dim, stage=instance.stage,
            kernel_name=instance.name,
        )  # fmt: skip
        found = choose(call)
        assert found == expected(module, call)
        replaced |= {(found[2], found[0])} - {(None, instance.name)}
    rules = {(i.name, rule.instance) for i in module.instances for rule in i.facts.instead}
    assert replaced == rules
    assert bool(rules) == (module.family.name == "a4w4_preshuffle")


def test_every_name_of_aiters_own_module_is_known(
    choose: Choose, module: PlannedModule, facts: Any
) -> None:
    for name in facts["instances"]:
        stage = 1 if "_gemm1_" in name else 2
        assert choose(call_of(module, stage=stage, kernel_name=name)) == (name, False, None)


def test_a_name_of_another_variant_is_unknown(
    choose: Choose, module: PlannedModule, facts: Any
) -> None:
    for other in NAMES:
        for name in set(other["instances"]) - set(facts["instances"]):
            stage = 1 if "_gemm1_" in name else 2
            assert choose(call_of(module, stage=stage, kernel_name=name)) == (None, True, None)
