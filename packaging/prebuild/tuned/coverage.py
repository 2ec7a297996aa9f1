"""Whether a plan holds what calls ask of CK2stages: a verdict for each row and heuristic point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiter_prebuilt.call import ModuleKey, Variant
from aiter_prebuilt.choice import verdict
from aiter_prebuilt.choice.verdict import Verdict
from prebuild.core.model import Plan, PlannedModule
from prebuild.plan import rules
from prebuild.recipe.recipes import Recipe
from prebuild.tuned.uses import Use, heuristic_uses

SCHEMA = 3


@dataclass(frozen=True, kw_only=True)
class Point:
    """One stage of one call, and whether the plan's modules answer it."""

    use: Use
    verdict: Verdict


def cover(plan: Plan, uses: Iterable[Use], ck: frozenset[str] = frozenset()) -> tuple[Point, ...]:
    """Return the verdict on each use, in order, of the wheel that the plan makes.

    Of an AITER that was checked with it, on a host that takes its modules; ``ck`` is what the plan
    was made with.
    """
    modules: dict[ModuleKey, PlannedModule] = {module.features: module for module in plan.modules}
    return tuple(
        Point(use=use, verdict=_verdict(use, modules.get(use.call.features), ck)) for use in uses
    )


def recipe_uses(recipes: Sequence[Recipe]) -> tuple[Use, ...]:
    """Every heuristic call of the recipes' deployments, within their tokens and block sizes."""
    return tuple(
        use
        for recipe in recipes
        for features in recipe.features()
        for deployment in recipe.deployments(features)
        for use in heuristic_uses(
            f"{recipe.name} TP {deployment.tp}",
            features,
            deployment.shape,
            (deployment.tokens_min, deployment.tokens_max),
        )
        if recipe.takes_block_m(use.call.block_m)
    )


def _verdict(use: Use, module: PlannedModule | None, ck: frozenset[str]) -> Verdict:
    refusal = use.choice.refusal if use.choice is not None else None
    if refusal is not None:
        return verdict.refused_for(refusal, use.module)
    why = _left_out(use, module, ck)
    if why or module is None or use.choice is None:
        return verdict.compiles(verdict.builder_of(use.module), use.module, why)
    return verdict.instead(verdict.prebuilt(module.name, use.module), use.choice.replaced)


def _left_out(use: Use, module: PlannedModule | None, ck: frozenset[str]) -> str:
    """Why the plan does not answer a call; empty where it does."""
    choice, facts = use.choice, use.facts
    if use.table is None or choice is None or facts is None:
        return "this project has no family for it"
    if module is None:
        missing = rules.unavailable(use.table.family, use.call.features, use.module, ck)
        return missing.reason if missing else "no recipe asks for the module"
    if choice.variant is None:
        return choice.fault
    if choice.variant in facts.wrong:
        wrong = facts.wrong[choice.variant].reason
        return f"its numbers are wrong, and no right kernel takes the shape: {wrong}"
    return _not_held(use, module, choice.variant)


def _not_held(use: Use, module: PlannedModule, variant: Variant) -> str:
    for instance in module.built:
        if instance.name == use.instance:
            if any((k.main_loop, k.tail) == variant for k in instance.kernels):
                return ""
            return f"the kernel for K = {use.call.gemm.k} is left out"
    return "the instance is left out"


def as_text(points: Sequence[Point], *, every: bool) -> str:
    """Return a line for each point (without ``every`` for what AITER compiles), then a summary."""
    lines = [
        f"{point.verdict.state:<8} {_call(point.use)}: {point.verdict.text}"
        for point in points
        if every or point.verdict.state == "compiles"
    ]
    return "\n".join([*lines, *_summary(points)])


def as_json(points: Sequence[Point]) -> Mapping[str, Any]:
    """Return the report as a versioned object."""
    counts = Counter(point.verdict.state for point in points)
    return {
        "schema": SCHEMA,
        "points": [
            {
                "where": point.use.where,
                "stage": point.use.call.stage,
                "tokens": point.use.call.tokens,
                **asdict(point.use.call.shape),
                "block_m": point.use.call.block_m,
                "named": point.use.named,
                "module": point.use.module,
                "instance": point.use.instance,
                "verdict": asdict(point.verdict),
            }
            for point in points
        ],
        "summary": {state: counts[state] for state in verdict.STATES},
    }


def _call(use: Use) -> str:
    call = use.call
    instance = use.instance or f"block_m {call.block_m}"
    return (
        f"{use.where} stage {call.stage}, {call.tokens} tokens, model_dim "
        f"{call.shape.model_dim}, inter_dim {call.shape.inter_dim}, {instance} of {use.module}"
    )


def _summary(points: Sequence[Point]) -> Iterable[str]:
    by_module: dict[str, Counter[str]] = {}
    for point in points:
        by_module.setdefault(point.use.module, Counter())[point.verdict.state] += 1
    yield "".join(f"{state:>10}" for state in verdict.STATES) + "  module"
    for module, counts in sorted(by_module.items()):
        yield _numbers(counts, module)
    yield _numbers(Counter(point.verdict.state for point in points), "all")


def _numbers(counts: Mapping[str, int], name: str) -> str:
    return "".join(f"{counts.get(state, 0):>10}" for state in verdict.STATES) + f"  {name}"
