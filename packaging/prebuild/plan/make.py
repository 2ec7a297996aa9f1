"""Recipes in, plan out: modules, their instances and kernels, and why each is in or out.

Pure: touches no disk, starts no process.  Coverage ``full`` asks for what AITER's own module holds,
``deployed`` for what the recipes' shapes reach.  Kernels with wrong numbers are left out of both: a
full module without them is ``sound``, and no longer bears AITER's name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from aiter_prebuilt.wheel.manifest import Coverage, ModuleKey
from prebuild.core import identity
from prebuild.core.errors import ProblemsError
from prebuild.core.model import (
    Exclusion,
    Family,
    InstanceFacts,
    Plan,
    PlannedInstance,
    PlannedKernel,
    PlannedModule,
    Stage,
    Variant,
)
from prebuild.families import find_family
from prebuild.plan import rules
from prebuild.recipe.recipes import Recipe

STAGES: tuple[Stage, ...] = (1, 2)
NAMED = "named by AITER's tuned rows"


class PlanError(ProblemsError):
    """Recipes that no plan can serve; holds every problem."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class _Need:
    """What one recipe needs of one instance."""

    variant: Variant
    why: str


@dataclass(frozen=True, kw_only=True)
class _Deployment:
    """A recipe at one tensor-parallel size, for one of its modules."""

    recipe: Recipe
    features: ModuleKey
    tp: int
    inter_dim: int

    @property
    def text(self) -> str:
        return f"{self.recipe.name} TP {self.tp} (inter_dim {self.inter_dim})"


@dataclass(kw_only=True)
class _ModuleNeeds:
    family: Family
    full: bool = False
    recipes: list[Recipe] = field(default_factory=list)
    needs: dict[int, list[_Need]] = field(default_factory=lambda: defaultdict(list))
    """Position in ``family.instances`` -> needs."""
    refused: dict[int, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Position -> (shape, problem) that AITER's heuristic brings to it and CK's tiles refuse."""


def make_plan(recipes: Sequence[Recipe]) -> Plan:
    """Return the plan for these recipes.

    What AITER has and the composable kernel at hand has not becomes an exclusion, and so does a
    module of which no call takes a kernel.

    Raises :class:`PlanError` where a recipe's dtypes belong to no family, a named kernel's tile
    cannot divide its shape, a stage of a deployment can use no kernel, or nothing is left to build;
    all problems at once.
    """
    modules: dict[ModuleKey, _ModuleNeeds] = {}
    problems: list[str] = []
    unavailable: dict[ModuleKey, Exclusion] = {}
    for recipe in recipes:
        for features in _wanted(recipe):
            family = find_family(features)
            if family is None:
                problems.append(_no_family(recipe, features))
                continue
            missing = rules.unavailable(family, features, features.stock_name)
            if missing:
                unavailable[features] = missing
                continue
            module = modules.setdefault(features, _ModuleNeeds(family=family))
            module.recipes.append(recipe)
            module.full = module.full or recipe.coverage == "full"
            problems += _collect(recipe, features, module)
    if problems:
        raise PlanError("no plan can be made:", problems)
    every = tuple(_module(features, needs) for features, needs in modules.items())
    planned = tuple(module for module in every if module.built)
    empty = [rules.no_kernel(module.stock_name) for module in every if not module.built]
    if empty and not planned:
        raise PlanError("no plan can be made:", [f"{e.what}: {e.reason}" for e in empty])
    return Plan(
        modules=planned,
        recipes={recipe.name: recipe.digest() for recipe in recipes},
        exclusions=(
            *unavailable.values(),
            *empty,
            *(
                exclusion
                for module in planned
                for instance in module.instances
                for exclusion in instance.excluded
            ),
        ),
    )


def _wanted(recipe: Recipe) -> Iterable[ModuleKey]:
    """The features of the recipe's modules, and of the split-K ones that the heuristic asks for."""
    for features in recipe.features():
        yield features
        split = replace(features, splitk=True)
        family = find_family(split)
        if family is not None and split != features:
            dims = recipe.moe_inter_dim.values()
            if any(rules.reached_block_ms(recipe, split, 1, inter_dim) for inter_dim in dims):
                yield split


def _no_family(recipe: Recipe, features: ModuleKey) -> str:
    return (
        f"recipe {recipe.name}: no family has kernels for activations {features.a_dtype}, weights "
        f"{features.b_dtype}, output {features.c_dtype}, quant {features.quant}, activation "
        f"{features.activation}, preshuffle {features.preshuffle}, splitk {features.splitk}"
    )


def _collect(recipe: Recipe, features: ModuleKey, module: _ModuleNeeds) -> list[str]:
    problems: list[str] = []
    for tp, inter_dim in recipe.moe_inter_dim.items():
        deployment = _Deployment(recipe=recipe, features=features, tp=tp, inter_dim=inter_dim)
        for stage in STAGES:
            problems += [
                f"recipe {recipe.name}, moe_inter_dim.{tp}: {problem}"
                for problem in _collect_stage(deployment, stage, module)
            ]
    return problems + _unknown_names(recipe, module.family)


def _collect_stage(deployment: _Deployment, stage: Stage, module: _ModuleNeeds) -> list[str]:
    """Note what one stage of a deployment needs; return why it can use no kernel at all."""
    recipe, inter_dim = deployment.recipe, deployment.inter_dim
    blocks = rules.reached_block_ms(recipe, deployment.features, stage, inter_dim)
    problems: list[str] = []
    refused: list[str] = []
    usable = False
    for position, facts in enumerate(module.family.instances):
        whys = list(_reasons(deployment, position, module.family, blocks))
        if facts.stage != stage or not whys:
            continue
        n, k = _gemm_shape(recipe, facts, inter_dim)
        problem = rules.shape_problem(module.family, facts, n, k)
        if problem and NAMED in whys:
            problems.append(f"{problem}, yet named_kernels has it")
        elif problem:
            module.refused[position].append((deployment.text, problem))
            refused.append(problem)
        else:
            usable = True
            variant = rules.kernel_for_k(module.family, facts.tile, k)
            module.needs[position] += [
                _Need(variant=variant, why=f"{deployment.text}: {why}") for why in whys
            ]
    return problems if usable else problems + refused


def _gemm_shape(recipe: Recipe, facts: InstanceFacts, inter_dim: int) -> tuple[int, int]:
    """(N, K) of a stage: gate-up projects hidden to inter, down projects inter to hidden."""
    if facts.stage == 1:
        return inter_dim, recipe.hidden_size
    return recipe.hidden_size, inter_dim


def _reasons(
    deployment: _Deployment, position: int, family: Family, blocks: Sequence[int]
) -> Iterable[str]:
    facts, recipe = family.instances[position], deployment.recipe
    for block in blocks:
        if rules.heuristic_choice(family, facts.stage, block, deployment.inter_dim) == position:
            yield f"heuristic at block_m {block}"
    for named in recipe.named_kernels:
        if (
            _is_named(facts, named.stage, named.tile)
            and deployment.inter_dim in named.inter_dims
            and (not recipe.block_m or facts.tile.m in recipe.block_m)
        ):
            yield NAMED


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
    stock = features.stock_name
    kernels = [kernel.id for instance in instances for kernel in instance.kernels]
    coverage = _coverage(needs)
    key = identity.module_key(stock, kernels, coverage=coverage)
    return PlannedModule(
        name=identity.module_name(stock, key, coverage=coverage),
        stock_name=stock,
        key=key,
        coverage=coverage,
        features=features,
        family=needs.family,
        instances=instances,
        recipes=tuple(sorted({recipe.name for recipe in needs.recipes})),
    )


def _coverage(needs: _ModuleNeeds) -> Coverage:
    if not needs.full:
        return "deployed"
    return "sound" if any(facts.wrong for facts in needs.family.instances) else "full"


def _instance(
    features: ModuleKey, module: _ModuleNeeds, position: int, facts: InstanceFacts
) -> PlannedInstance:
    name = identity.instance_name(module.family, features, facts.stage, facts.tile)
    needs = module.needs.get(position, [])
    wanted = (
        module.family.variants(facts.tile)
        if module.full
        else tuple(sorted({need.variant for need in needs}))
    )
    kernels = tuple(
        _kernel(name, variant, needs, full=module.full)
        for variant in wanted
        if variant not in facts.wrong
    )
    return PlannedInstance(
        name=name,
        stage=facts.stage,
        family=module.family,
        tile=facts.tile,
        features=features,
        reached_by=facts.reached_by,
        kernels=kernels,
        why=_why(needs, full=module.full),
        excluded=(
            *(rules.not_divisible(name, *refused) for refused in module.refused.get(position, [])),
            *_exclusions(name, position, module, wanted),
        ),
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
    name: str, position: int, module: _ModuleNeeds, wanted: Sequence[Variant]
) -> tuple[Exclusion, ...]:
    facts = module.family.instances[position]
    if not wanted and position in module.refused:
        return ()
    if not wanted:
        dims = {dim for recipe in module.recipes for dim in recipe.moe_inter_dim.values()}
        return (rules.not_reached(name, facts, sorted(dims)),)
    found = (
        _kernel_out(name, facts, variant, wanted) for variant in module.family.variants(facts.tile)
    )
    return tuple(exclusion for exclusion in found if exclusion is not None)


def _kernel_out(
    name: str, facts: InstanceFacts, variant: Variant, wanted: Sequence[Variant]
) -> Exclusion | None:
    """Why one kernel of an instance is out, None where it is in."""
    kernel = identity.kernel_id(name, main_loop=variant[0], tail=variant[1])
    wrong = rules.wrong_numbers(facts, variant, kernel)
    if wrong is not None or variant in wanted:
        return wrong
    reason = "no K of the recipes takes this main loop and tail"
    return Exclusion(what=kernel, rule="k-loop", reason=reason)
