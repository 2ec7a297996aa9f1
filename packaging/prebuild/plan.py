"""Recipes in, plan out: modules, their instances and kernels, and why each is in or out.

Pure: touches no disk, starts no process.  Coverage ``full`` holds what AITER's own module holds;
``deployed`` holds what the recipes' shapes reach.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aiter_prebuilt.manifest import ModuleKey
from prebuild import identity, rules
from prebuild.errors import ProblemsError
from prebuild.families import find_family
from prebuild.model import (
    Exclusion,
    Family,
    InstanceFacts,
    Plan,
    PlannedInstance,
    PlannedKernel,
    PlannedModule,
    Tail,
)
from prebuild.recipe import Recipe

Variant = tuple[bool, Tail]
ALL_VARIANTS: tuple[Variant, ...] = ((True, "odd"), (True, "even"), (False, "odd"), (False, "even"))


class PlanError(ProblemsError):
    """Recipes that no plan can serve; holds every problem."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class _Need:
    """What one recipe needs of one instance."""

    variant: Variant
    why: str


@dataclass(kw_only=True)
class _ModuleNeeds:
    family: Family
    full: bool = False
    recipes: list[Recipe] = field(default_factory=list)
    needs: dict[int, list[_Need]] = field(default_factory=lambda: defaultdict(list))
    """Position in ``family.instances`` -> needs."""


def make_plan(recipes: Sequence[Recipe]) -> Plan:
    """Return the plan for these recipes.

    Raises :class:`PlanError` where a recipe's dtypes belong to no family or a shape cannot be
    divided by the tiles that it reaches; all problems at once.
    """
    modules: dict[ModuleKey, _ModuleNeeds] = {}
    problems: list[str] = []
    for recipe in recipes:
        for features in recipe.features():
            family = find_family(features)
            if family is None:
                problems.append(_no_family(recipe, features))
                continue
            module = modules.setdefault(features, _ModuleNeeds(family=family))
            module.recipes.append(recipe)
            module.full = module.full or recipe.coverage == "full"
            problems += _collect(recipe, module)
    if problems:
        raise PlanError("no plan can be made:", problems)
    planned = tuple(_module(features, needs) for features, needs in modules.items())
    return Plan(
        modules=planned,
        recipes={recipe.name: recipe.digest() for recipe in recipes},
        exclusions=tuple(
            exclusion
            for module in planned
            for instance in module.instances
            for exclusion in instance.excluded
        ),
    )


def _no_family(recipe: Recipe, features: ModuleKey) -> str:
    return (
        f"recipe {recipe.name}: no family has kernels for activations {features.a_dtype}, weights "
        f"{features.b_dtype}, output {features.c_dtype}, quant {features.quant}, activation "
        f"{features.activation}, preshuffle {features.preshuffle}, splitk {features.splitk}"
    )


def _collect(recipe: Recipe, module: _ModuleNeeds) -> list[str]:
    problems: list[str] = []
    for tp, inter_dim in recipe.moe_inter_dim.items():
        blocks = rules.reached_block_ms(recipe, inter_dim)
        for position, facts in enumerate(module.family.instances):
            whys = list(_reasons(recipe, facts, inter_dim, blocks))
            if not whys:
                continue
            n, k = _gemm_shape(recipe, facts, inter_dim)
            problem = rules.shape_problem(module.family, facts, n, k)
            if problem:
                problems.append(f"recipe {recipe.name}, moe_inter_dim.{tp}: {problem}")
                continue
            variant = rules.kernel_for_k(module.family, facts.tile, k)
            module.needs[position] += [
                _Need(variant=variant, why=f"{recipe.name} TP {tp} (inter_dim {inter_dim}): {why}")
                for why in whys
            ]
    return problems + _unknown_names(recipe, module.family)


def _gemm_shape(recipe: Recipe, facts: InstanceFacts, inter_dim: int) -> tuple[int, int]:
    """(N, K) of a stage: gate-up projects hidden to inter, down projects inter to hidden."""
    if facts.stage == 1:
        return inter_dim, recipe.hidden_size
    return recipe.hidden_size, inter_dim


def _reasons(
    recipe: Recipe, facts: InstanceFacts, inter_dim: int, blocks: Sequence[int]
) -> Iterable[str]:
    for reach in facts.reached_by:
        if reach.block_m in blocks and rules.heuristic_reaches(reach, reach.block_m, inter_dim):
            yield f"heuristic at block_m {reach.block_m}"
    for named in recipe.named_kernels:
        if (
            _is_named(facts, named.stage, named.tile)
            and inter_dim in named.inter_dims
            and (not recipe.block_m or facts.tile.m in recipe.block_m)
        ):
            yield "named by AITER's tuned rows"


def _is_named(facts: InstanceFacts, stage: int, tile: str) -> bool:
    return facts.stage == stage and f"{facts.tile.text}_v{facts.tile.pipeline}" == tile


def _unknown_names(recipe: Recipe, family: Family) -> list[str]:
    return [
        f"recipe {recipe.name}, named_kernels.{position}: family {family.name} has no stage "
        f"{named.stage} instance {named.tile}"
        for position, named in enumerate(recipe.named_kernels)
        if not any(_is_named(facts, named.stage, named.tile) for facts in family.instances)
    ]


def _module(features: ModuleKey, needs: _ModuleNeeds) -> PlannedModule:
    instances = tuple(
        _instance(features, needs, position, facts)
        for position, facts in enumerate(needs.family.instances)
    )
    stock = identity.stock_module_name(features)
    kernels = [kernel.id for instance in instances for kernel in instance.kernels]
    key = identity.module_key(stock, kernels, full=needs.full)
    return PlannedModule(
        name=identity.module_name(stock, key, full=needs.full),
        stock_name=stock,
        key=key,
        coverage="full" if needs.full else "deployed",
        features=features,
        family=needs.family,
        instances=instances,
        recipes=tuple(sorted({recipe.name for recipe in needs.recipes})),
    )


def _instance(
    features: ModuleKey, module: _ModuleNeeds, position: int, facts: InstanceFacts
) -> PlannedInstance:
    name = identity.instance_name(module.family, features, facts.stage, facts.tile)
    needs = module.needs.get(position, [])
    variants = ALL_VARIANTS if module.full else sorted({need.variant for need in needs})
    kernels = tuple(_kernel(name, variant, needs, full=module.full) for variant in variants)
    return PlannedInstance(
        name=name,
        stage=facts.stage,
        family=module.family,
        tile=facts.tile,
        features=features,
        reached_by=facts.reached_by,
        kernels=kernels,
        why=_why(needs, full=module.full),
        excluded=_exclusions(name, facts, module, kernels),
    )


def _kernel(name: str, variant: Variant, needs: Sequence[_Need], *, full: bool) -> PlannedKernel:
    main_loop, tail = variant
    why = [need.why for need in needs if need.variant == variant]
    return PlannedKernel(
        id=identity.kernel_id(name, main_loop=main_loop, tail=tail),
        main_loop=main_loop,
        tail=tail,
        why=tuple(why or (["full coverage"] if full else [])),
    )


def _why(needs: Sequence[_Need], *, full: bool) -> tuple[str, ...]:
    whys = [need.why for need in needs]
    return tuple(["full coverage", *whys] if full else whys)


def _exclusions(
    name: str, facts: InstanceFacts, module: _ModuleNeeds, kernels: Sequence[PlannedKernel]
) -> tuple[Exclusion, ...]:
    if not kernels:
        dims = {dim for recipe in module.recipes for dim in recipe.moe_inter_dim.values()}
        return (rules.not_reached(name, facts, sorted(dims)),)
    built = {(kernel.main_loop, kernel.tail) for kernel in kernels}
    return tuple(
        Exclusion(
            what=identity.kernel_id(name, main_loop=main_loop, tail=tail),
            rule="k-loop",
            reason="no K of the recipes takes this main loop and tail",
        )
        for main_loop, tail in ALL_VARIANTS
        if (main_loop, tail) not in built
    )
