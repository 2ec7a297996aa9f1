"""The judge: facts in, findings out, all at once; it reads nothing and repairs nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

from aiter_prebuilt import target
from aiter_prebuilt.target import Target
from prebuild.core.errors import ProblemsError
from prebuild.core.model import PlannedModule
from prebuild.inspect.codeobject import KernelFacts
from prebuild.inspect.elf import ElfFacts


class InspectionError(ProblemsError):
    """A module may not ship; holds every finding of every module."""

    exit_code = 6


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Limits: of the machine from ``policy.toml``, of the GPU from the target's data."""

    target: Target
    needed: tuple[str, ...]
    glibc_max: tuple[int, ...]


def load_policy() -> Policy:
    """Read the policy that ships with the project."""
    raw = tomllib.loads(files(__package__).joinpath("policy.toml").read_text())
    return Policy(
        target=target.load(),
        needed=tuple(raw["needed"]),
        glibc_max=tuple(raw["glibc_max"]),
    )


def judge(
    module: PlannedModule, elf: ElfFacts, kernels: Mapping[str, KernelFacts], policy: Policy
) -> tuple[str, ...]:
    """Return what is wrong with a module; nothing where it may ship.

    ``kernels`` maps the plan's kernel ids to what was found in their code objects.
    """
    return (*_judge_elf(module, elf, policy), *_judge_kernels(module, kernels, policy))


def _judge_elf(module: PlannedModule, elf: ElfFacts, policy: Policy) -> Iterator[str]:
    if elf.bundle_targets != (policy.target.gfx,):
        yield f"GPU targets are {elf.bundle_targets}, expected {policy.target.gfx} alone"
    strangers = sorted(set(elf.needed) - set(policy.needed))
    if strangers:
        yield f"needs {strangers}, allowed are {list(policy.needed)}"
    if elf.run_paths:
        yield f"carries run paths {list(elf.run_paths)}, expected none"
    if elf.floor("GLIBC_") > policy.glibc_max:
        yield f"needs glibc {elf.floor('GLIBC_')}, allowed is {policy.glibc_max}"
    expected = {f"PyInit_{name}" for name in module.starts}
    if set(elf.exported) != expected:
        yield f"exports {list(elf.exported)[:5]}, expected {', '.join(sorted(expected))} alone"
    foreign = [
        name for name in elf.undefined if name.startswith("_Z") and "ck" in name.split("S", 1)[0]
    ]
    if foreign:
        yield f"leaves symbols of CK undefined: {foreign[:3]}"


def _judge_kernels(
    module: PlannedModule, kernels: Mapping[str, KernelFacts], policy: Policy
) -> Iterator[str]:
    planned = {kernel.id for instance in module.built for kernel in instance.kernels}
    if planned != set(kernels):
        yield f"kernels differ from the plan: {sorted(planned ^ set(kernels))}"
    for name, facts in kernels.items():
        for problem in _judge_kernel(module, facts, policy):
            yield f"{name}: {problem}"


def _judge_kernel(module: PlannedModule, facts: KernelFacts, policy: Policy) -> Iterator[str]:
    gpu = policy.target
    if facts.target != gpu.isa:
        yield f"is for {facts.target}, expected {gpu.isa}"
    wanted = gpu.matrix_instructions[module.features.a_dtype]
    if not any(name in facts.opcodes for name in wanted):
        yield f"has no {' or '.join(wanted)}, which its dtypes call for"
    if facts.lds_bytes > gpu.lds_bytes:
        yield f"takes {facts.lds_bytes} bytes of LDS, a workgroup has {gpu.lds_bytes}"
    if facts.vgprs > gpu.vgprs:
        yield f"takes {facts.vgprs} VGPRs, a lane has {gpu.vgprs}"
