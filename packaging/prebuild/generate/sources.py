"""Plan in, sources out: a mapping from path to text, so that a build can be printed before it runs.

Layout of a module's folder::

    <module>/instances/<AITER's instance name>.hpp   an instance's type
    <module>/kernels/<instance>.<variant>.cu         one kernel each (device)
    <module>/launchers.cu                            a launcher for each instance (host)
    <module>/module.cpp                              tables and PyInit
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aiter_prebuilt.kinds import ACTIVATIONS, dtypes
from prebuild.core import identity
from prebuild.core.contracts import Generation
from prebuild.core.model import Plan, PlannedInstance, PlannedKernel, PlannedModule


def generate(plan: Plan, templates: Path) -> Mapping[PurePosixPath, str]:
    """Return every source file of every module; ``templates`` is ``csrc/templates``."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
        autoescape=False,  # noqa: S701  C++, not HTML
    )
    sources: dict[PurePosixPath, str] = {}
    for module in plan.modules:
        sources |= _module_sources(environment, module)
    return sources


def _module_sources(env: Environment, module: PlannedModule) -> dict[PurePosixPath, str]:
    root = PurePosixPath(module.name)
    contexts = [_instance_context(instance) for instance in module.built]
    sources = {
        root / "module.cpp": _render(env, "module.cpp.j2", _module_context(module)),
        root / "launchers.cu": _render(env, "launchers.cu.j2", {"instances": contexts}),
    }
    for instance, context in zip(module.built, contexts, strict=True):
        header = root / "instances" / f"{instance.name}.hpp"
        sources[header] = _render(env, "instance.hpp.j2", context)
        for kernel in instance.kernels:
            text = _render(env, "kernel.cu.j2", {**context, "kernel": kernel})
            sources[root / "kernels" / f"{kernel.id}.cu"] = text
    return sources


def _render(env: Environment, template: str, context: Mapping[str, Any]) -> str:
    return env.get_template(template).render(context)


def _module_context(module: PlannedModule) -> dict[str, Any]:
    features, contract = module.features, module.contracts[0]
    return {
        "module": module,
        "features": features,
        "launch": {i.name: identity.launch_symbol(i.name) for i in module.built},
        "contract": contract,
        "dtypes": {each.name: _dtype_set(each.accepted) for each in dtypes().values()},
        "quants": _quants(features.quant, contract),
        "activation": contract.activations[features.activation],
        "scales": features.quant != "no",
        "instead": [_instead(instance, module) for instance in module.instances],
    }


def _instead(instance: PlannedInstance, module: PlannedModule) -> list[dict[str, Any]]:
    """A row for each parity of K steps whose kernel is wrong; one of tail ``full`` is both."""
    places = {each.name: place for place, each in enumerate(module.instances)}
    return [
        {
            "main_loop": "true" if rule.main_loop else "false",
            "odd": "true" if odd else "false",
            "instance": places[rule.instance],
            "reason": json.dumps(rule.reason),
        }
        for rule in instance.facts.instead
        for odd in (True, False)
        if rule.tail in ("full", "odd" if odd else "even")
    ]


def _dtype_set(names: Sequence[str]) -> str:
    """A set of dtypes as csrc/dtype.hpp has them."""
    return " | ".join(f"dtype::{name}" for name in names)


def _quants(quant: str, contract: Generation) -> list[int]:
    """The QuantTypes that AITER takes a module for: per_128x128 has the module of per_1x128."""
    shared = ("per_1x128", "per_128x128")
    names = shared if quant in shared else (quant,)
    return [contract.quants[name] for name in names]


def _instance_context(instance: PlannedInstance) -> dict[str, Any]:
    features, family = instance.features, instance.family
    # CK instantiates the second GEMM without an activation; AITER passes 0 for it.
    activation = ACTIVATIONS[features.activation].ck if instance.stage == 1 else 0
    return {
        "instance": instance,
        "family": family,
        "features": features,
        "tile": instance.tile,
        "dtypes": {each.name: each.ck for each in dtypes().values()},
        "element_op": family.element_op(instance.stage, splitk=features.splitk),
        "mul_routed_weight": identity.mul_routed_weight(features, instance.stage),
        "activation": activation,
        "per_tensor": features.quant == "per_tensor",
        "kernel_template": family.kernels[instance.tile.version],
        "launch_symbol": identity.launch_symbol(instance.name),
        "handles": {kernel.id: identity.kernel_handle(kernel.id) for kernel in instance.kernels},
        "table": [
            _slot(instance.kernels, main_loop=main, tail=tail)
            for main in (True, False)
            for tail in ("odd", "even")
        ],
    }


def _slot(kernels: tuple[PlannedKernel, ...], *, main_loop: bool, tail: str) -> str:
    for kernel in kernels:
        if kernel.main_loop == main_loop and kernel.tail in (tail, "full"):
            return f"&{identity.kernel_handle(kernel.id)}"
    return "nullptr"
