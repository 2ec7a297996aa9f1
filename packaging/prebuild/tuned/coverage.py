"""Whether a plan holds what calls ask of CK2stages: a verdict for each row and heuristic point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from aiter_prebuilt.call import ModuleKey, Variant
from aiter_prebuilt.choice.dispatch import Refusal
from prebuild.core.model import Plan, PlannedModule
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
    ``wrong``: AITER's kernel gives wrong numbers, no right one takes the shape, AITER compiles."""
    why: str


def cover(plan: Plan, uses: Iterable[Use], ck: frozenset[str] = frozenset()) -> tuple[Point, ...]:
    """Return the verdict on each use, in order; ``ck`` is what the plan was made with."""
    modules: dict[ModuleKey, PlannedModule] = {module.features: module for module in plan.modules}
    return tuple(_point(use, modules.get(use.call.features), ck) for use in uses)


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


def _point(use: Use, module: PlannedModule | None, ck: frozenset[str]) -> Point:
    status, why = _verdict(use, module, ck)
    return Point(use=use, status=status, why=why)


def _verdict(use: Use, module: PlannedModule | None, ck: frozenset[str]) -> tuple[Status, str]:
    choice, facts = use.choice, use.facts
    if use.table is None or choice is None or facts is None:
        return "refused", Refusal(what="block_m", found=use.call.block_m).text
    missing = rules.unavailable(use.table.family, use.call.features, use.module, ck)
    if missing:
        return "unavailable", missing.reason
    if choice.fault:
        return "wrong", choice.fault
    if choice.refusal is not None or choice.variant is None:
        return "refused", choice.refusal.text if choice.refusal else ""
    if choice.variant in facts.wrong:
        return "wrong", facts.wrong[choice.variant].reason
    if module is None:
        return "miss", "no recipe asks for the module"
    return _held(use, module, choice.variant)


def _held(use: Use, module: PlannedModule, variant: Variant) -> tuple[Status, str]:
    for instance in module.built:
        if instance.name == use.instance:
            if any((k.main_loop, k.tail) == variant for k in instance.kernels):
                return "hit", ""
            return "miss", f"the kernel for K = {use.call.gemm.k} is left out"
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
                "stage": point.use.call.stage,
                "tokens": point.use.call.tokens,
                **asdict(point.use.call.shape),
                "block_m": point.use.call.block_m,
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
    call = use.call
    instance = use.instance or f"block_m {call.block_m}"
    return (
        f"{use.where} stage {call.stage}, {call.tokens} tokens, model_dim "
        f"{call.shape.model_dim}, inter_dim {call.shape.inter_dim}: {instance} of {use.module}"
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
