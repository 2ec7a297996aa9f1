"""Every family compiles, links, passes inspection, and launches what its heuristic takes.

The smallest shapes that a family's tiles divide: one instance a stage, one kernel each, so that a
build without a cache takes minutes on two cores.  The A4W4 preshuffled family is the Kimi wheel's.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.call import Call as AitersCall
from aiter_prebuilt.choice.dispatch import choose
from aiter_prebuilt.kinds import QUANTISATIONS
from prebuild.compile.build import compile_units
from prebuild.compile.units import Unit, closure
from prebuild.core.model import PlannedInstance
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.inspect.codeobject import KernelFacts
from prebuild.pipeline import build as pipeline
from prebuild.pipeline.manifest import Inspected
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe
from prebuild.recording import Call, Recorder
from prebuild.recording.recorder import LaunchRecord
from tests.integration.calls import tensor

pytestmark = pytest.mark.toolchain
TOP_K, EXPERTS, TOKENS = 2, 4, 8
TORCH = {"b16": "bfloat16", "f16": "float16", "f8": "float8_e4m3fn", "i4": "uint32",
         "fp4x2": "float4_e2m1fn_x2"}  # fmt: skip
PER_ELEMENT = {"fp4x2": 2, "i4": 8}
"""Values in one element of a torch tensor."""
MFMA = {
    "b16": "v_mfma_f32_16x16x32_bf16",
    "f16": "v_mfma_f32_16x16x32_f16",
    "f8": "v_mfma_f32_16x16x128_f8f6f4",
    "fp4x2": "v_mfma_scale_f32_16x16x128_f8f6f4",
}


def recipe(name: str, block_m: int, model_dim: int, inter_dim: int, **features: Any) -> Recipe:
    raw = {
        "schema": 1, "name": name, "model": name, "hidden_size": model_dim,
        "moe_inter_dim": {1: inter_dim}, "experts": EXPERTS, "top_k": TOP_K,
        "activation": "silu", "block_m": [block_m], **features,
    }  # fmt: skip
    return Recipe.model_validate(raw)


def dtypes(a: str, b: str, c: str, quant: str) -> dict[str, Any]:
    return {
        "activation_dtype": a, "weight_dtype": b, "output_dtypes": [c], "quant": quant,
    }  # fmt: skip


RECIPES = {
    item.name: item
    for item in (
        recipe("a16w16-b16", 32, 128, 128, **dtypes("b16", "b16", "b16", "no")),
        recipe("a16w16-f16", 32, 128, 128, activation_dtype="f16", weight_dtype="f16",
               output_dtypes=["f16"], quant="no", routed_weight_stage=1),
        recipe("a8w8-token", 32, 256, 256, **dtypes("f8", "f8", "b16", "per_token")),
        recipe("a8w8-tensor", 32, 256, 256, **dtypes("f8", "f8", "f16", "per_tensor")),
        recipe("a8w8-block", 16, 256, 128, **dtypes("f8", "f8", "b16", "per_1x128")),
        recipe("a8w4", 32, 256, 256, **dtypes("f8", "i4", "b16", "per_token")),
        recipe("a4w4-plain", 32, 512, 256, preshuffle=False,
               **dtypes("fp4x2", "fp4x2", "b16", "per_1x32")),
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Families:
    """One inspected module a recipe, and what they were built from."""

    modules: Mapping[str, Inspected]
    prepared: pipeline.Prepared


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Families:
    """Build all of them at once; inspection raises on the first thing that may not ship."""
    plan = make_plan(list(RECIPES.values()))
    work = tmp_path_factory.mktemp("families")
    prepared = pipeline.prepare(plan, project=Project.here(), settings=settings, work=work)
    inspected = pipeline.inspect_modules(pipeline.build(prepared, settings=settings))
    return Families(
        modules={module.planned.recipes[0]: module for module in inspected}, prepared=prepared
    )


def instance(module: Inspected, stage: int) -> tuple[PlannedInstance, KernelFacts]:
    (found,) = [item for item in module.planned.built if item.stage == stage]
    (kernel,) = found.kernels
    return found, module.kernels[kernel.id]


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_kernels_are_aiters(families: Families, name: str, stage: int) -> None:
    planned, facts = instance(families.modules[name], stage)
    features, tile = planned.features, planned.tile
    assert facts.opcodes.get(MFMA[features.a_dtype], 0) > 0
    others = {mfma for mfma in MFMA.values() if mfma != MFMA[features.a_dtype]}
    assert not others & set(facts.opcodes)
    assert facts.lds_bytes <= 160 * 1024
    assert facts.scratch_bytes == 0
    # AITER's element operation and tile stand in the mangled name.
    op = planned.family.element_op(planned.stage, splitk=False)
    assert f"{len(op)}{op}" in facts.symbol
    assert f"Li{tile.block_size}E" in facts.symbol
    assert f"Li{tile.m}ELi{tile.n}ELi{tile.k}E" in facts.symbol


@pytest.fixture(scope="module")
def with_linkage_as_written(
    families: Families, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Unit, Unit]]:
    """Recipe -> stage 1's kernel as shipped, and compiled without the internal linkage."""
    work, prepared = tmp_path_factory.mktemp("linkage"), families.prepared
    pairs = {}
    for module in prepared.modules:
        shipped = next(unit for name, unit in module.kernels.items() if "_gemm1_" in name)
        lines = shipped.source.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("#pragma clang attribute")]
        assert len(lines) - len(kept) == 2
        source = work / shipped.source.name
        source.write_text("".join(kept))
        key = hashlib.sha256(f"{shipped.key} as written".encode()).hexdigest()
        other = replace(
            shipped,
            source=source,
            sources=closure(source, shipped.include),
            key=key,
            object=shipped.object.with_name(f"{key}.co"),
        )
        pairs[module.module.recipes[0]] = (shipped, other)
    compile_units(
        [other for _, other in pairs.values()],
        toolchain=prepared.toolchain, work=work, book=prepared.book,
    )  # fmt: skip
    return pairs


@pytest.mark.parametrize("name", RECIPES)
def test_internal_linkage_leaves_every_byte_of_a_kernel_alone(
    with_linkage_as_written: Mapping[str, tuple[Unit, Unit]], name: str
) -> None:
    shipped, as_written = with_linkage_as_written[name]
    assert shipped.object.read_bytes() == as_written.object.read_bytes()


def arguments(
    item: Recipe,
    stage: int,
    *,
    inter_dim: int | None = None,
    block_m: int | None = None,
    kernel: str = "",
) -> list[Any]:
    """A call as AITER makes it: positional, trailing defaults left out."""
    a, b, c = item.activation_dtype, item.weight_dtype, item.output_dtypes[0]
    model, inter = item.hidden_size, inter_dim or item.moe_inter_dim[1]
    k, n = (model, inter) if stage == 1 else (inter, model)
    pack_a, pack_b = PER_ELEMENT.get(a, 1), PER_ELEMENT.get(b, 1)
    rows = (TOKENS,) if stage == 1 else (TOKENS, TOP_K)
    scaled = item.quant != "no"
    weighted = item.routed_weight_stage == stage
    return [
        tensor(0x10000, TORCH[a], *rows, k // pack_a),
        tensor(0x20000, TORCH[b], EXPERTS, 2 * inter, model // pack_b),
        tensor(0x30000, TORCH[b], EXPERTS, model, inter // pack_b),
        tensor(0x40000, "int32", 64),
        tensor(0x50000, "int32", 4),
        tensor(0x60000, "int32", 2),
        tensor(0x70000, TORCH[c], *((TOKENS, TOP_K, n) if stage == 1 else (TOKENS, n))),
        TOP_K,
        kernel,
        tensor(0x80000, "float32", EXPERTS, n) if scaled else None,
        tensor(0x90000, "float32", TOKENS * TOP_K) if scaled else None,
        block_m or item.block_m[0],
        tensor(0xA0000, "float32", 64) if weighted else None,
        QUANTISATIONS[item.quant].number,
        0,
        0 if stage == 1 else 1,
        False,
        None,
        item.preshuffle,
    ]


@pytest.fixture
def launches(recorder: Recorder, families: Families, tmp_path: Path) -> Any:
    def run(name: str, stage: int, **replaced: Any) -> tuple[Any, tuple[LaunchRecord, ...]]:
        module = families.modules[name]
        args = arguments(RECIPES[name], stage)
        for position, value in replaced.items():
            args[int(position.removeprefix("arg"))] = value
        call = Call(function=f"ck_moe_stage{stage}", args=tuple(args))
        recorded = recorder.record(
            module.planned.name, module.linked.path, [call],
            log=tmp_path / "launches", argument_bytes=512,
        )  # fmt: skip
        return recorded.results[0], recorded.launches

    return run


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_a_call_launches_the_kernel(
    launches: Any, families: Families, name: str, stage: int
) -> None:
    planned, facts = instance(families.modules[name], stage)
    result, recorded = launches(name, stage)
    assert result.get("returned", result) is None
    (launch,) = recorded
    assert launch.symbol == facts.symbol
    assert launch.block == (planned.tile.block_size, 1, 1)
    item = RECIPES[name]
    n = item.moe_inter_dim[1] if stage == 1 else item.hidden_size
    rows = min(TOKENS * TOP_K * item.block_m[0], 64)
    assert launch.grid == (-(-n // planned.tile.n), -(-rows // planned.tile.m), 1)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_every_pointer_reaches_the_kernel(
    launches: Any, families: Families, name: str, stage: int
) -> None:
    item = RECIPES[name]
    _, ((launch,)) = launches(name, stage)
    _, facts = instance(families.modules[name], stage)
    held = launch.arguments[: facts.kernarg_bytes]
    expected = [0x10000, 0x20000 if stage == 1 else 0x30000, 0x40000, 0x50000, 0x60000, 0x70000]
    expected += [0x80000, 0x90000] if item.quant != "no" else []
    expected += [0xA0000] if item.routed_weight_stage == stage else []
    words = [int.from_bytes(held[i : i + 8], "little") for i in range(0, len(held) - 7, 8)]
    for pointer in expected:
        assert words.count(pointer) == 1, hex(pointer)
    absent = {0x30000 if stage == 1 else 0x20000}
    assert not absent & set(words)


@pytest.mark.parametrize("name", ["a8w8-token", "a8w8-block", "a8w4", "a4w4-plain"])
def test_scales_are_required_where_the_quant_has_them(launches: Any, name: str) -> None:
    result, recorded = launches(name, 1, arg9=None)
    assert result["raised"] == "TypeError"
    assert "w1_scale is None" in result["message"]
    assert recorded == ()


BLOCK_MS = (16, 32, 33, 64, 128, 256)
INTER_DIMS = (128, 192, 256, 384, 512, 1024)


def outcome(module: Inspected, stage: Any, call: tuple[int, int, str]) -> tuple[str, str]:
    """What the planner's choice says of a call: ("launched", kernel), or what it is refused for.

    The second of a refusal is what the module raises, or "" where the heuristic decides.
    """
    (block_m, inter_dim, name), planned = call, module.planned
    (deployment,) = RECIPES[planned.recipes[0]].deployments(planned.features)
    asked = AitersCall(
        features=planned.features,
        shape=replace(deployment.shape, inter_dim=inter_dim),
        stage=stage,
        tokens=TOKENS,
        block_m=block_m,
        kernel_name=name,
    )
    choice = choose([instance.facts for instance in planned.instances], asked)
    if choice.name_unknown:
        return "name", ""
    if choice.instance is None:
        return "block_m", "ValueError"
    (chosen,) = [each for each in planned.instances if each.facts == choice.instance]
    if not chosen.built:
        return "instance", "RuntimeError"
    if choice.refusal is not None:
        return "tile", "RuntimeError"
    for kernel in chosen.kernels:
        if (kernel.main_loop, kernel.tail) == choice.variant:
            return "launched", module.kernels[kernel.id].symbol
    return "kernel", "RuntimeError"


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_the_grid_of_calls_goes_where_the_planner_says(
    recorder: Recorder, families: Families, tmp_path: Path, name: str, stage: Any
) -> None:
    """block_m x inter_dim x kernelName (none, the built one, one left out, one nobody knows)."""
    module, item = families.modules[name], RECIPES[name]
    built, _ = instance(module, stage)
    left = next(i for i in module.planned.instances if i.stage == stage and not i.built)
    grid = list(
        itertools.product(BLOCK_MS, INTER_DIMS, ("", built.name, left.name, "no_such_kernel"))
    )
    calls = [
        Call(
            function=f"ck_moe_stage{stage}",
            args=tuple(arguments(item, stage, inter_dim=dim, block_m=block_m, kernel=kernel)),
            uncovered=uncovered,
        )
        for block_m, dim, kernel in grid
        for uncovered in (True, False)
    ]
    recorded = recorder.record(
        module.planned.name, module.linked.path, calls, log=tmp_path / "launches"
    )
    launched = iter(recorded.launches)
    seen = set()
    results = zip(recorded.results[::2], recorded.results[1::2], strict=True)
    for call, (guarded, alone) in zip(grid, results, strict=True):
        what, which = outcome(module, stage, call)
        seen.add(what)
        if what == "launched":
            assert [next(launched).symbol for _ in (guarded, alone)] == [which, which], call
            continue
        assert guarded["returned"][:2] == [f"ck_moe_stage{stage}", what], call
        if which:
            assert alone["raised"] == which, call
            continue
        by_heuristic, symbol = outcome(module, stage, (*call[:2], ""))
        if by_heuristic == "launched":
            assert next(launched).symbol == symbol, call
            assert "no_such_kernel" in alone["warnings"][0], call
        else:
            assert alone["raised"] == symbol, call
    assert next(launched, None) is None
    # Small tiles divide every shape of the grid; test_refusals has what others refuse.
    assert seen >= {"launched", "instance", "block_m", "name"}


@pytest.mark.parametrize("name", RECIPES)
def test_calls_of_another_module_are_refused_by_every_family(launches: Any, name: str) -> None:
    item = RECIPES[name]
    other_quant = 0 if item.quant != "no" else 2
    for stage, position, value, raised in (
        (1, 13, other_quant, "ValueError"),
        (2, 13, other_quant, "ValueError"),
        (1, 14, 1, "ValueError"),  # gelu
        (1, 18, not item.preshuffle, "ValueError"),
        (2, 18, not item.preshuffle, "ValueError"),
        (1, 0, tensor(0x10000, "float64", TOKENS, item.hidden_size), "TypeError"),
        (2, 6, tensor(0x70000, "float64", TOKENS, item.hidden_size), "TypeError"),
    ):
        result, recorded = launches(name, stage, **{f"arg{position}": value})
        assert result.get("raised") == raised, (stage, position)
        assert recorded == ()


def test_a_quant_of_another_module_is_refused(launches: Any) -> None:
    result, recorded = launches("a8w8-token", 1, arg13=1)
    assert result["raised"] == "ValueError"
    assert "quant_type is 1, expected 2" in result["message"]
    assert recorded == ()
