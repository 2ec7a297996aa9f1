"""Plan, build and inspection in, manifest out; nothing in it is written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aiter_prebuilt import target
from aiter_prebuilt.kinds import ACTIVATIONS, QUANTISATIONS
from aiter_prebuilt.wheel.manifest import (
    SCHEMA_VERSION,
    BuildRecord,
    Contract,
    Instance,
    Kernel,
    LeftOut,
    Manifest,
    Module,
)
from prebuild.compile.flags import Flags
from prebuild.core.model import Plan, PlannedInstance, PlannedKernel, PlannedModule
from prebuild.core.source import SourceState
from prebuild.inspect.codeobject import KernelFacts
from prebuild.inspect.elf import ElfFacts
from prebuild.link import LinkedModule
from prebuild.recipe.recipes import Recipe
from prebuild.toolchain import Toolchain

CPYTHON_FLOOR = "3.10"
"""Of Py_LIMITED_API in csrc/tensor.hpp."""

_HEAD = (
    "{first}: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor, sorted_token_ids: torch.Tensor, "
    "sorted_expert_ids: torch.Tensor, num_valid_ids: torch.Tensor, out: torch.Tensor, topk: int, "
    "kernelName: Optional[str] = None, w{stage}_scale: Optional[torch.Tensor] = None, "
    "a{stage}_scale: Optional[torch.Tensor] = None, block_m: Optional[int] = 32, "
    "sorted_weights: Optional[torch.Tensor] = None, quant_type: int = 0, activation: int = 0, "
    "splitk: {splitk} = 1, use_non_temporal_load: bool = False, dst_type: Optional[str] = None, "
    "is_shuffled: bool = True"
)
SIGNATURES = {
    "ck_moe_stage1": "ck_moe_stage1("
    + _HEAD.format(first="hidden_states", stage=1, splitk="Optional[int]")
    + ") -> None",
    "ck_moe_stage2": "ck_moe_stage2("
    + _HEAD.format(first="inter_states", stage=2, splitk="int")
    + ") -> None",
}
"""The first docstring lines of csrc/binding.cpp; a test compares the two."""


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A module after inspection: what the manifest says of it."""

    planned: PlannedModule
    linked: LinkedModule
    elf: ElfFacts
    kernels: Mapping[str, KernelFacts]
    """Kernel id -> facts."""


def make_manifest(
    *,
    version: str,
    plan: Plan,
    recipes: Sequence[Recipe],
    modules: Sequence[Inspected],
    toolchain: Toolchain,
    flags: Flags,
    source: SourceState,
    container: str | None = None,
) -> Manifest:
    """Return the manifest of a wheel with these modules."""
    return Manifest(
        schema=SCHEMA_VERSION,
        version=version,
        build=_build_record(plan, toolchain, flags, source, container),
        contract=contract(),
        modules=tuple(_module(module) for module in modules),
        deployments=tuple(
            deployment
            for recipe in recipes
            for features in recipe.features()
            for deployment in recipe.deployments(features)
        ),
    )


def contract() -> Contract:
    """Return what every module assumes of AITER."""
    return Contract(
        signatures=SIGNATURES,
        quant_types={each.aiter: each.number for each in QUANTISATIONS.values()},
        activation_types={each.aiter: each.number for each in ACTIVATIONS.values()},
    )


def _build_record(
    plan: Plan, toolchain: Toolchain, flags: Flags, source: SourceState, container: str | None
) -> BuildRecord:
    left_out = [LeftOut(what=e.what, reason=f"{e.rule}: {e.reason}") for e in plan.exclusions]
    return BuildRecord(
        toolchain=toolchain.kind,
        compiler=toolchain.compiler_version,
        hip_version=toolchain.hip_version,
        ck_version=toolchain.ck_version,
        gfx_target=target.load().gfx,
        device_flags=flags.device,
        left_out=(*flags.left_out, *left_out),
        packages=tuple(f"{package.name}={package.version}" for package in toolchain.packages),
        source_commit=source.commit,
        source_dirty=source.dirty,
        recipes=plan.recipes,
        container=container,
    )


def _module(module: Inspected) -> Module:
    planned, elf = module.planned, module.elf
    return Module(
        name=planned.name,
        stock_name=planned.stock_name,
        features=planned.features,
        coverage=planned.coverage,
        key=planned.key,
        file=f"modules/{module.linked.path.name}",
        sha256=module.linked.sha256,
        size=module.linked.size,
        gfx_targets=elf.bundle_targets,
        cpython_floor=CPYTHON_FLOOR,
        glibc_floor=".".join(str(part) for part in elf.floor("GLIBC_")),
        needed=elf.needed,
        recipes=planned.recipes,
        instances=tuple(_instance(instance, module.kernels) for instance in planned.instances),
    )


def _instance(instance: PlannedInstance, facts: Mapping[str, KernelFacts]) -> Instance:
    kernels = tuple(_kernel(kernel, facts[kernel.id]) for kernel in instance.kernels)
    return replace(instance.facts, kernels=kernels)


def _kernel(kernel: PlannedKernel, facts: KernelFacts) -> Kernel:
    return Kernel(
        main_loop=kernel.main_loop,
        tail=kernel.tail,
        symbol=facts.symbol,
        vgprs=facts.vgprs,
        agprs=facts.agprs,
        sgprs=facts.sgprs,
        lds_bytes=facts.lds_bytes,
        scratch_bytes=facts.scratch_bytes,
        vgpr_spills=facts.vgpr_spills,
        sgpr_spills=facts.sgpr_spills,
        code_bytes=facts.code_bytes,
    )
