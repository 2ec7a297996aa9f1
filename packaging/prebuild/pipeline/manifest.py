"""Plan, build and inspection in, manifest out; nothing in it is written by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiter_prebuilt import target
from aiter_prebuilt.wheel.manifest import (
    SCHEMA_VERSION,
    BuildRecord,
    Instance,
    Kernel,
    LeftOut,
    Manifest,
    Module,
)
from prebuild.compile.flags import Flags
from prebuild.core import identity
from prebuild.core.model import Plan, PlannedInstance, PlannedKernel, PlannedModule
from prebuild.core.source import SourceState
from prebuild.inspect.aiter_code import Checked, aiters
from prebuild.inspect.codeobject import KernelFacts
from prebuild.inspect.elf import ElfFacts
from prebuild.link import LinkedModule
from prebuild.recipe.recipes import Recipe
from prebuild.toolchain import Toolchain
from prebuild.toolchain.model import CodeGenerator

CPYTHON_FLOOR = "3.10"
"""Of Py_LIMITED_API in csrc/python.hpp; a test compares the two."""


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
        contracts={
            generation.name: generation.contract
            for module in modules
            for generation in module.planned.contracts
        },
        modules=tuple(_module(module) for module in modules),
        deployments=tuple(
            deployment
            for recipe in recipes
            for features in recipe.features()
            for deployment in recipe.deployments(features)
        ),
    )


def with_compared(
    manifest: Manifest, modules: Sequence[Inspected], compared: Sequence[Checked]
) -> Manifest:
    """Return the manifest of ``modules`` with the AITERs that each kernel was seen to be of.

    A comparison counts where it was made with the compiler, code generator and composable kernel of
    this build, and with this very object.
    """
    build = manifest.build
    made_by = (build.compiler, build.code_generator, build.ck_version)
    counting = [one for one in compared if one.made_by == made_by]

    def known(instance: Instance, objects: Mapping[str, Path]) -> Instance:
        return replace(
            instance,
            kernels=tuple(_as_aiter(instance, one, objects, counting) for one in instance.kernels),
        )

    return replace(
        manifest,
        modules=tuple(
            replace(
                module,
                instances=tuple(
                    known(one, inspected.linked.code_objects) for one in module.instances
                ),
            )
            for module, inspected in zip(manifest.modules, modules, strict=True)
        ),
    )


def _as_aiter(
    instance: Instance,
    kernel: Kernel,
    objects: Mapping[str, Path],
    compared: Sequence[Checked],
) -> Kernel:
    name = identity.kernel_id(instance.name, main_loop=kernel.main_loop, tail=kernel.tail)
    digest = hashlib.sha256(objects[name].read_bytes()).hexdigest()
    return replace(kernel, as_aiter=aiters(compared, name, digest))


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
        left_out=(*flags.left_out, *_dropped(toolchain.codegen), *left_out),
        packages=tuple(f"{package.name}={package.version}" for package in toolchain.packages),
        source_commit=source.commit,
        source_dirty=source.dirty,
        recipes=plan.recipes,
        container=container,
        code_generator=toolchain.codegen.version if toolchain.codegen else None,
        ck_origin=toolchain.ck_origin,
    )


def _dropped(codegen: CodeGenerator | None) -> Iterator[LeftOut]:
    """What of clang's IR and settings the code generator does not see, wherever it stands."""
    if codegen is not None:
        kinds = (
            ("attribute", codegen.dropped_attributes),
            ("feature", codegen.dropped_features),
            ("option", codegen.dropped_options),
        )
        for kind, dropped in kinds:
            for name, reason in sorted(dropped.items()):
                yield LeftOut(what=f"{kind} {name}", reason=reason)


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
        contracts=tuple(generation.name for generation in planned.contracts),
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
