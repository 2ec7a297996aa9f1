"""Named rules: why something is in a plan and why something is out.

Each rule is a function of facts; the plan holds what it returned, so that ``prebuild plan
--explain`` and the manifest say the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiter_prebuilt.call import Call, ModuleKey, Stage, Variant
from aiter_prebuilt.choice import routing
from aiter_prebuilt.choice.dispatch import variant_of
from aiter_prebuilt.wheel.manifest import Deployment, Instance, Reach
from prebuild.core.model import Exclusion, Family, InstanceFacts
from prebuild.recipe.recipes import Recipe


def heuristic_calls(recipe: Recipe, deployment: Deployment, stage: Stage) -> list[Call]:
    """What AITER's heuristic asks of a stage of a deployment's module, by block_m.

    What other back ends take (one-stage assembly, CK-Tile, FlyDSL) is not among it; where the AITER
    versions differ, the widest counts.
    """
    features = deployment.features
    tokens = (deployment.tokens_min, deployment.tokens_max)
    calls = routing.heuristic_calls(features, deployment.shape, tokens)
    own = (call for call in calls if (call.features, call.stage) == (features, stage))
    return sorted(
        (call for call in own if recipe.takes_block_m(call.block_m)), key=lambda call: call.block_m
    )


def takes_a_part(instance: Instance, variant: Variant) -> bool:
    """Whether a kernel runs for a part of a split K, which has two steps or more."""
    steps = range(2, instance.prefetch_stages + 3)
    return any(variant_of(instance, count * instance.k_per_block) == variant for count in steps)


def unavailable(
    family: Family, features: ModuleKey, module: str, ck: frozenset[str] = frozenset()
) -> Exclusion | None:
    """Why the composable kernel at hand cannot build a module of AITER's, None where it can.

    ``ck`` is what that one can beyond ROCm 7.2's (:func:`prebuild.toolchain.ck.abilities`).
    """
    for entry in family.unavailable:
        if getattr(features, entry.feature) == entry.value and entry.unless not in ck:
            return Exclusion(what=module, rule=entry.rule, reason=entry.reason)
    return None


def wrong_numbers(facts: InstanceFacts, variant: Variant, kernel: str) -> Exclusion | None:
    """Why a kernel may be in no module though AITER's has it, None where nothing is against it.

    A call that needs it, and that no right instance answers, goes on to AITER's own build: no worse
    than without a prebuilt module.
    """
    wrong = facts.wrong.get(variant)
    if wrong is None:
        return None
    if wrong.instead is None:
        who = "AITER's own build takes such a call"
    else:
        who = (
            f"{wrong.instead.name} answers such a call; where its tile does not divide N or K, "
            "AITER's own build takes it"
        )
    text = f"{wrong.reason} (docs/numerics.md); {who}"
    return Exclusion(what=kernel, rule="wrong-numbers", reason=text)


def not_divisible(name: str, shape: str, problem: str) -> Exclusion:
    """The exclusion of an instance that AITER's heuristic takes for a shape CK's tiles refuse.

    AITER's own call raises for it, too.
    """
    return Exclusion(
        what=name,
        rule="not-divisible",
        reason=f"{shape}: {problem}; AITER's own module refuses this call as well",
    )


def no_k(kernel: str, *, any_k: bool) -> Exclusion:
    """The exclusion of a kernel that no K of the recipes takes, or no K at all."""
    reason = "no K of the recipes takes this main loop and tail"
    if not any_k:
        reason = "no part of a split K takes it: a part has two steps or more"
    return Exclusion(what=kernel, rule="k-loop", reason=reason)


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
