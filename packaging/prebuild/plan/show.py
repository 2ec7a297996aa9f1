"""A plan as text for people and as versioned JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from prebuild.core.model import Plan, PlannedInstance, PlannedModule

PLAN_SCHEMA = 1


def plan_as_text(plan: Plan, *, explain: bool) -> str:
    """Return the plan, one module after the other; with ``explain`` why each thing is in or out.

    Modules that AITER would ask for and that cannot be built stand at the end in any case.
    """
    lines = [line for module in plan.modules for line in _module_lines(module, explain=explain)]
    return "\n".join([*lines, *_modules_left_out(plan)])


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values; ``schema`` rises when a reader would have to change."""
    return {
        "schema": PLAN_SCHEMA,
        "recipes": dict(plan.recipes),
        "modules": [_module_json(module) for module in plan.modules],
        "exclusions": [asdict(exclusion) for exclusion in plan.exclusions],
    }


def _modules_left_out(plan: Plan) -> Iterator[str]:
    own = {e for module in plan.modules for i in module.instances for e in i.excluded}
    for exclusion in plan.exclusions:
        if exclusion not in own:
            yield f"not planned: {exclusion.what}: {exclusion.rule}: {exclusion.reason}"


def _module_lines(module: PlannedModule, *, explain: bool) -> Iterator[str]:
    kernels = sum(len(instance.kernels) for instance in module.built)
    yield module.name
    yield (
        f"  {module.coverage}: {len(module.built)} of {len(module.instances)} instances, "
        f"{kernels} kernels, key {module.key[:16]}, recipes {', '.join(module.recipes)}"
    )
    if module.name != module.stock_name:
        yield f"  served as {module.stock_name}"
    for instance in module.instances:
        yield from _instance_lines(instance, explain=explain)


def _instance_lines(instance: PlannedInstance, *, explain: bool) -> Iterator[str]:
    mark = "+" if instance.built else "-"
    yield f"  {mark} {instance.name}"
    if not explain:
        return
    for kernel in instance.kernels:
        yield f"      + {_last(kernel.id)}: {'; '.join(kernel.why)}"
    for exclusion in instance.excluded:
        what = "" if exclusion.what == instance.name else f"{_last(exclusion.what)}: "
        yield f"      - {what}{exclusion.rule}: {exclusion.reason}"


def _last(kernel: str) -> str:
    """A kernel's own part of its id: main loop and tail."""
    return kernel.rpartition(".")[2]


def _module_json(module: PlannedModule) -> dict[str, Any]:
    return {
        "name": module.name,
        "stock_name": module.stock_name,
        "key": module.key,
        "coverage": module.coverage,
        "features": asdict(module.features),
        "family": module.family.name,
        "recipes": list(module.recipes),
        "instances": [
            {
                "name": instance.name,
                "stage": instance.stage,
                "built": instance.built,
                "why": list(instance.why),
                "kernels": [asdict(kernel) for kernel in instance.kernels],
            }
            for instance in module.instances
        ],
    }
