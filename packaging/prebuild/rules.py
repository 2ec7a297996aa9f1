"""Named rules: why something is in a plan and why something is out.

Each rule is a function of facts; the plan holds what it returned, so that ``prebuild plan
--explain`` and the manifest say the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiter_prebuilt.dispatch import choose_block_m, padded_tokens
from aiter_prebuilt.manifest import Reach
from prebuild.model import Exclusion, Family, InstanceFacts, Tail, Tile
from prebuild.recipe import Recipe


def reached_block_ms(recipe: Recipe, inter_dim: int) -> tuple[int, ...]:
    """Every block_m that AITER's heuristic chooses within the recipe's token range and block_m.

    AITER pads the token count first, so the padded counts are all there is to try.
    """
    low, high = recipe.tokens.min, recipe.tokens.max
    padded = {padded_tokens(low), padded_tokens(high)}
    power = 1
    while power <= high:
        if power >= low:
            padded.add(padded_tokens(power))
        power *= 2
    choices = {
        choose_block_m(recipe.quant, tokens, recipe.top_k, recipe.experts, inter_dim)
        for tokens in padded
    }
    return tuple(sorted(choices & set(recipe.block_m) if recipe.block_m else choices))


def heuristic_reaches(reach: Reach, block_m: int, inter_dim: int) -> bool:
    """Whether a call with this block_m and inter_dim takes an instance by this condition."""
    upper = reach.inter_dim_max
    return (
        reach.block_m == block_m
        and reach.inter_dim_min <= inter_dim
        and (upper is None or inter_dim <= upper)
    )


def kernel_for_k(family: Family, tile: Tile, k: int) -> tuple[bool, Tail]:
    """(main loop, tail) of the kernel that CK launches for ``k`` values of K.

    CK: num_loop = K / KPerBlock; main loop where num_loop > prefetch stages; tail by parity.
    """
    loops = k // family.k_per_block(tile)
    return loops > family.prefetch_stages[f"v{tile.pipeline}"], "odd" if loops % 2 else "even"


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


def not_reached(name: str, facts: InstanceFacts, inter_dims: Sequence[int]) -> Exclusion:
    """The exclusion of an instance that no shape of the recipes takes."""
    shapes = ", ".join(str(dim) for dim in sorted(inter_dims))
    if not facts.reached_by:
        return Exclusion(
            what=name,
            rule="named-only",
            reason="AITER's heuristic never takes it and no recipe names it",
        )
    limits = {reach.inter_dim_max for reach in facts.reached_by}
    if None not in limits:
        return Exclusion(
            what=name,
            rule="inter-dim",
            reason=f"taken for inter_dim <= {max(filter(None, limits))}; the recipes have {shapes}",
        )
    blocks = ", ".join(str(reach.block_m) for reach in facts.reached_by)
    return Exclusion(
        what=name,
        rule="block-m",
        reason=f"taken for block_m {blocks} only, which no token count reaches at {shapes}",
    )
