"""Whether a plan holds what calls ask of CK2stages: a verdict for each row and heuristic point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from aiter_prebuilt.choice import routing
from aiter_prebuilt.wheel.manifest import ModuleKey
from prebuild.core.model import Plan, PlannedModule, Variant
from prebuild.plan import rules
from prebuild.recipe.recipes import Recipe
from prebuild.tuned.uses import Use, heuristic_uses

Status = Literal["hit", "miss", "refused", "unavailable", "wrong"]
STATUSES: tuple[Status, ...] = get_args(Status)
SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class Point:
    """One stage of one call, and whether the plan's modules answer it."""

    use: Use
    status: Status
    """``refused``: AITER's own module raises, too; ``unavailable``: the CK at hand lacks it;
    ``wrong``: AITER's kernel gives wrong numbers, so no module holds it and AITER compiles."""
    why: str


def cover(plan: Plan, uses: Iterable[Use]) -> tuple[Point, ...]:
    """Return the verdict on each use, in order."""
    modules: dict[ModuleKey, PlannedModule] = {module.features: module for module in plan.modules}
    return tuple(_point(use, modules.get(use.features)) for use in uses)


def recipe_uses(recipes: Sequence[Recipe]) -> tuple[Use, ...]:
    """Every heuristic call of the recipes' deployments, within their tokens and block sizes."""
    return tuple(
        use
        for recipe in recipes
        for features in recipe.features()
        for tp, inter_dim in recipe.moe_inter_dim.items()
        for use in heuristic_uses(
            f"{recipe.name} TP {tp}",
            features,
            routing.Shape(
                tokens=recipe.tokens.max,
                model_dim=recipe.hidden_size,
                inter_dim=inter_dim,
                experts=recipe.experts,
                topk=recipe.top_k,
            ),
            (recipe.tokens.min, recipe.tokens.max),
        )
        if not recipe.block_m or use.block_m in recipe.block_m
    )


def _point(use: Use, module: PlannedModule | None) -> Point:
    status, why = _verdict(use, module)
    return Point(use=use, status=status, why=why)


def _verdict(use: Use, module: PlannedModule | None) -> tuple[Status, str]:
    if use.family is None or use.facts is None:
        return "refused", f"AITER's module has no instance for block_m {use.block_m}"
    missing = rules.unavailable(use.family, use.features, use.module)
    if missing:
        return "unavailable", missing.reason
    problem = rules.shape_problem(use.family, use.facts, *use.gemm)
    if problem:
        return "refused", problem
    variant = rules.kernel_for_k(use.family, use.facts.tile, use.gemm[1])
    if variant in use.facts.wrong:
        return "wrong", use.facts.wrong[variant]
    if module is None:
        return "miss", "no recipe asks for the module"
    return _held(use, module, variant)


def _held(use: Use, module: PlannedModule, variant: Variant) -> tuple[Status, str]:
    for instance in module.built:
        if instance.name == use.instance:
            if any((k.main_loop, k.tail) == variant for k in instance.kernels):
                return "hit", ""
            return "miss", f"the kernel for K = {use.gemm[1]} is left out"
    return "miss", "the instance is left out"


def as_text(points: Sequence[Point], *, every: bool) -> str:
    """Return a line for each point (without ``every`` for what AITER compiles), then a summary."""
    lines = [
        f"{point.status:<11} {_call(point.use)}{': ' if point.why else ''}{point.why}"
        for point in points
        if every or point.status in ("miss", "wrong")
    ]
    return "\n".join([*lines, *_summary(points)])


def as_json(points: Sequence[Point]) -> Mapping[str, Any]:
    """Return the report as a versioned object."""
    counts = Counter(point.status for point in points)
    return {
        "schema": SCHEMA,
        "points": [
            {
                "where": point.use.where,
                "stage": point.use.stage,
                "tokens": point.use.shape.tokens,
                "model_dim": point.use.shape.model_dim,
                "inter_dim": point.use.shape.inter_dim,
                "experts": point.use.shape.experts,
                "topk": point.use.shape.topk,
                "block_m": point.use.block_m,
                "named": point.use.named,
                "module": point.use.module,
                "instance": point.use.instance,
                "status": point.status,
                "why": point.why,
            }
            for point in points
        ],
        "summary": {status: counts[status] for status in STATUSES},
    }


def _call(use: Use) -> str:
    instance = use.instance or f"block_m {use.block_m}"
    return (
        f"{use.where} stage {use.stage}, {use.shape.tokens} tokens, model_dim "
        f"{use.shape.model_dim}, inter_dim {use.shape.inter_dim}: {instance} of {use.module}"
    )


def _summary(points: Sequence[Point]) -> Iterable[str]:
    by_module: dict[str, Counter[str]] = {}
    for point in points:
        by_module.setdefault(point.use.module, Counter())[point.status] += 1
    yield f"{'hit':>6} {'miss':>6} {'refused':>8} {'unavail.':>8} {'wrong':>6}  module"
    for module, counts in sorted(by_module.items()):
        yield _numbers(counts, module)
    yield _numbers(Counter(point.status for point in points), "all")


def _numbers(counts: Mapping[str, int], name: str) -> str:
    hit, miss, refused, gone, wrong = (counts.get(status, 0) for status in STATUSES)
    return f"{hit:>6} {miss:>6} {refused:>8} {gone:>8} {wrong:>6}  {name}"
