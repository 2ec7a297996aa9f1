"""Named rules: why something is in a plan and why something is out.

Each rule is a function of facts; the plan holds what it returned, so that ``prebuild plan
--explain`` and the manifest say the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiter_prebuilt.choice import routing
from aiter_prebuilt.wheel.manifest import ModuleKey, Reach
from prebuild.core.model import Exclusion, Family, InstanceFacts, Stage, Tile, Variant
from prebuild.recipe.recipes import Recipe


def reached_block_ms(
    recipe: Recipe, features: ModuleKey, stage: Stage, inter_dim: int
) -> tuple[int, ...]:
    """Every block_m with which AITER's heuristic calls a module's stage within the recipe's tokens.

    What other back ends take (one-stage assembly, CK-Tile, FlyDSL) is not among them; where the
    AITER versions differ, the widest counts.
    """
    shape = routing.Shape(
        tokens=recipe.tokens.max,
        model_dim=recipe.hidden_size,
        inter_dim=inter_dim,
        experts=recipe.experts,
        topk=recipe.top_k,
    )
    choices = routing.reached_block_ms(
        features, stage, shape, (recipe.tokens.min, recipe.tokens.max)
    )
    return tuple(block for block in choices if not recipe.block_m or block in recipe.block_m)


def heuristic_choice(family: Family, stage: Stage, block_m: int, inter_dim: int) -> int | None:
    """Position of the instance that AITER's heuristic takes; no two cover the same call."""
    for position, facts in enumerate(family.instances):
        if facts.stage == stage and any(
            reach.covers(block_m, inter_dim) for reach in facts.reached_by
        ):
            return position
    return None


def kernel_for_k(family: Family, tile: Tile, k: int) -> Variant:
    """(main loop, tail) of the kernel that CK launches for ``k`` values of K."""
    return family.variant_for_k(tile, k)


def unavailable(family: Family, features: ModuleKey, module: str) -> Exclusion | None:
    """Why the composable kernel at hand cannot build a module of AITER's, None where it can."""
    for entry in family.unavailable:
        if getattr(features, entry.feature) == entry.value:
            return Exclusion(what=module, rule=entry.rule, reason=entry.reason)
    return None


def wrong_numbers(facts: InstanceFacts, variant: Variant, kernel: str) -> Exclusion | None:
    """Why a kernel may be in no module though AITER's has it, None where nothing is against it.

    A call that needs it goes on to AITER's own build: no worse than without a prebuilt module.
    """
    reason = facts.wrong.get(variant)
    if reason is None:
        return None
    text = f"{reason} (docs/numerics.md); AITER's own build takes such a call"
    return Exclusion(what=kernel, rule="wrong-numbers", reason=text)


def shape_problem(family: Family, facts: InstanceFacts, n: int, k: int) -> str | None:
    """Why CK's tiles cannot divide a shape (CK's IsSupportedArgument), None where they can."""
    per_block = family.k_per_block(facts.tile)
    if k % per_block:
        return f"K = {k} is not a multiple of {per_block} (stage {facts.stage}, {facts.tile.text})"
    if n % facts.tile.n:
        return (
            f"N = {n} is not a multiple of {facts.tile.n} (stage {facts.stage}, {facts.tile.text})"
        )
    return None


def not_divisible(name: str, shape: str, problem: str) -> Exclusion:
    """The exclusion of an instance that AITER's heuristic takes for a shape CK's tiles refuse.

    AITER's own call raises for it, too.
    """
    return Exclusion(
        what=name,
        rule="not-divisible",
        reason=f"{shape}: {problem}; AITER's own module refuses this call as well",
    )


def no_kernel(module: str) -> Exclusion:
    """The exclusion of a module that would hold nothing."""
    reason = "no call of the recipes takes a kernel of it at the sizes asked for"
    return Exclusion(what=module, rule="no-kernel", reason=reason)


def not_reached(name: str, facts: InstanceFacts, inter_dims: Sequence[int]) -> Exclusion:
    """The exclusion of an instance that no shape of the recipes takes."""
    shapes = ", ".join(str(dim) for dim in sorted(inter_dims))
    if not facts.reached_by:
        return Exclusion(
            what=name,
            rule="named-only",
            reason="AITER's heuristic never takes it and no recipe names it",
        )
    if not any(_inter_dim_fits(reach, dim) for reach in facts.reached_by for dim in inter_dims):
        return Exclusion(
            what=name,
            rule="inter-dim",
            reason=f"taken for {_conditions(facts)}; the recipes have inter_dim {shapes}",
        )
    blocks = ", ".join(sorted({str(reach.block_m) for reach in facts.reached_by}, key=int))
    return Exclusion(
        what=name,
        rule="block-m",
        reason=f"taken for block_m {blocks} only, which no token count reaches at {shapes}",
    )


def _inter_dim_fits(reach: Reach, inter_dim: int) -> bool:
    return reach.covers(reach.block_m, inter_dim)


def _conditions(facts: InstanceFacts) -> str:
    return " or ".join(_condition(reach) for reach in facts.reached_by)


def _condition(reach: Reach) -> str:
    parts = []
    if reach.inter_dim_min:
        parts.append(f"inter_dim >= {reach.inter_dim_min}")
    if reach.inter_dim_max is not None:
        parts.append(f"inter_dim <= {reach.inter_dim_max}")
    if reach.inter_dim_multiple_of > 1:
        parts.append(f"inter_dim a multiple of {reach.inter_dim_multiple_of}")
    if reach.inter_dim_not_multiple_of is not None:
        parts.append(f"inter_dim no multiple of {reach.inter_dim_not_multiple_of}")
    return " and ".join(parts) or f"block_m {reach.block_m}"
