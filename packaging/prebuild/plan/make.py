"""Recipes in, plan out: modules, their instances and kernels, and why each is in or out.

Pure: touches no disk, starts no process.  Coverage ``full`` asks for what AITER's own module holds,
``deployed`` for what the recipes' shapes reach.  Kernels with wrong numbers are left out of both,
right ones answer their calls; a full module where none does is ``sound``, without AITER's name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from aiter_prebuilt.call import STAGES, Call, ModuleKey, Stage, Variant
from aiter_prebuilt.choice.dispatch import Choice, Refusal, choose
from aiter_prebuilt.wheel.manifest import Coverage, Deployment, Instance
from prebuild.core import identity
from prebuild.core.contracts import Generation, load_contracts
from prebuild.core.errors import ProblemsError
from prebuild.core.model import (
    Exclusion,
    InstanceFacts,
    Plan,
    PlannedInstance,
    PlannedKernel,
    PlannedModule,
)
from prebuild.families import Table, find_table
from prebuild.plan import rules
from prebuild.recipe.recipes import NamedKernel, Recipe

NAMED = "named by AITER's tuned rows"


class PlanError(ProblemsError):
    """Recipes that no plan can serve; holds every problem."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class _Need:
    """What one deployment needs of one instance."""

    variant: Variant
    why: str


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """An instance that calls of one stage of a deployment take, and why they do."""

    instance: Instance
    choice: Choice
    whys: tuple[str, ...]


@dataclass(kw_only=True)
class _ModuleNeeds:
    table: Table
    full: bool = False
    recipes: list[Recipe] = field(default_factory=list)
    needs: dict[str, list[_Need]] = field(default_factory=lambda: defaultdict(list))
    """Name of an instance -> needs."""
    refused: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Name -> (deployment, problem) that AITER's heuristic brings to it and CK's tiles refuse."""


def make_plan(
    recipes: Sequence[Recipe],
    ck: frozenset[str] = frozenset(),
    contracts: Sequence[Generation] | None = None,
) -> Plan:
    """Return the plan for these recipes; ``ck`` is what the composable kernel at hand can.

    It is for callers of all ``contracts`` (None: all there are).

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
            table = find_table(features)
            if table is None:
                problems.append(_no_family(recipe, features))
                continue
            missing = rules.unavailable(table.family, features, features.stock_name, ck)
            if missing:
                unavailable[features] = missing
                continue
            module = modules.setdefault(features, _ModuleNeeds(table=table))
            module.recipes.append(recipe)
            module.full = module.full or recipe.coverage == "full"
            problems += _collect(recipe, features, module)
    if problems:
        raise PlanError("no plan can be made:", problems)
    bindings = _bindings(load_contracts() if contracts is None else contracts)
    every = tuple(
        _module(features, needs, agreed, first=agreed is bindings[0])
        for features, needs in modules.items()
        for agreed in bindings
    )
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
        if find_table(split) is not None and split != features:
            deployments = recipe.deployments(split)
            if any(rules.heuristic_calls(recipe, deployment, 1) for deployment in deployments):
                yield split


def _no_family(recipe: Recipe, features: ModuleKey) -> str:
    return (
        f"recipe {recipe.name}: no family has kernels for activations {features.a_dtype}, weights "
        f"{features.b_dtype}, output {features.c_dtype}, quant {features.quant}, activation "
        f"{features.activation}, preshuffle {features.preshuffle}, splitk {features.splitk}"
    )


def _collect(recipe: Recipe, features: ModuleKey, module: _ModuleNeeds) -> list[str]:
    problems: list[str] = []
    for deployment in recipe.deployments(features):
        for stage in STAGES:
            taken = _taken(recipe, deployment, stage, module.table)
            problems += [
                f"recipe {recipe.name}, moe_inter_dim.{deployment.tp}: {problem}"
                for problem in _note(deployment, taken, module)
            ]
    return problems + _unknown_names(recipe, module.table)


def _taken(recipe: Recipe, deployment: Deployment, stage: Stage, table: Table) -> list[_Taken]:
    """The instances that a stage of a deployment takes; block_ms without one are left to AITER."""
    found: dict[tuple[str, Refusal | None], _Taken] = {}
    for call, why in _calls(recipe, deployment, stage, table):
        choice = choose(table.instances, call)
        if choice.instance is not None and not choice.fault:
            key = choice.instance.name, choice.refusal
            whys = found[key].whys if key in found else ()
            full = f"{why}, {choice.replaced.text}" if choice.replaced else why
            found[key] = _Taken(instance=choice.instance, choice=choice, whys=(*whys, full))
    return list(found.values())


def _calls(
    recipe: Recipe, deployment: Deployment, stage: Stage, table: Table
) -> Iterator[tuple[Call, str]]:
    """Every call that may come, and why: by the heuristic, then by the names of tuned rows.

    Stage 2 never asks for a split-K module.  In how many parts a row splits K a recipe does not
    say: in two, for which every kernel of the instance is there.
    """
    splits = deployment.features.splitk
    for call in rules.heuristic_calls(recipe, deployment, stage):
        how = f" in {call.parts} parts of K" if splits else ""
        yield call, f"heuristic at block_m {call.block_m}{how}"
    if splits and stage != 1:
        return
    for named in recipe.named_kernels:
        if named.stage != stage or deployment.shape.inter_dim not in named.inter_dims:
            continue
        for instance in table.instances:
            if _is_named(table, instance, named) and recipe.takes_block_m(instance.block_m):
                call = Call(
                    features=deployment.features,
                    shape=deployment.shape,
                    stage=stage,
                    tokens=deployment.tokens_max,
                    block_m=instance.block_m,
                    kernel_name=instance.name,
                    parts=2 if splits else 1,
                )
                yield call, NAMED


def _note(deployment: Deployment, taken: Sequence[_Taken], module: _ModuleNeeds) -> list[str]:
    """Note what one stage of a deployment needs; return why it can use no kernel at all."""
    text = f"{deployment.recipe} TP {deployment.tp} (inter_dim {deployment.shape.inter_dim})"
    problems: list[str] = []
    refused: list[str] = []
    for each in taken:
        name, refusal, variant = each.instance.name, each.choice.refusal, each.choice.variant
        if refusal is not None and NAMED in each.whys and not deployment.features.splitk:
            problems.append(f"{refusal.text}, yet named_kernels has it")
        elif refusal is not None:
            module.refused[name].append((text, refusal.text))
            refused.append(refusal.text)
        elif variant is not None:
            module.needs[name] += [
                _Need(variant=needed, why=f"{text}: {why}")
                for needed in _variants(deployment, each.instance, variant, module.table)
                for why in each.whys
            ]
    usable = any(each.choice.variant is not None for each in taken)
    return problems if usable else problems + refused


def _variants(
    deployment: Deployment, instance: Instance, chosen: Variant, table: Table
) -> tuple[Variant, ...]:
    """The kernels of a taken instance that are needed: where K is split all that a part can take.

    How many parts there are depends on tokens, compute units and AITER_KSPLIT.
    """
    if deployment.features.splitk and instance.stage == 1:
        return _reachable(deployment.features, table, instance)
    return (chosen,)


def _reachable(features: ModuleKey, table: Table, instance: Instance) -> tuple[Variant, ...]:
    """The kernels of an instance that some K takes."""
    variants = table.family.variants(table.facts(instance).tile)
    if not (features.splitk and instance.stage == 1):
        return variants
    return tuple(each for each in variants if rules.takes_a_part(instance, each))


def _is_named(table: Table, instance: Instance, named: NamedKernel) -> bool:
    return instance.stage == named.stage and table.facts(instance).tile.name == named.tile


def _unknown_names(recipe: Recipe, table: Table) -> list[str]:
    return [
        f"recipe {recipe.name}, named_kernels.{position}: family {table.family.name} has no stage "
        f"{named.stage} instance {named.tile}"
        for position, named in enumerate(recipe.named_kernels)
        if not any(_is_named(table, instance, named) for instance in table.instances)
    ]


def _bindings(contracts: Sequence[Generation]) -> list[tuple[Generation, ...]]:
    """Contracts that the same code meets, together: each group gets modules of its own."""
    groups: list[list[Generation]] = []
    for contract in contracts:
        same = next((group for group in groups if group[0].same_binding(contract)), None)
        if same is None:
            groups.append([contract])
        else:
            same.append(contract)
    return [tuple(group) for group in groups]


def _module(
    features: ModuleKey, needs: _ModuleNeeds, contracts: tuple[Generation, ...], *, first: bool
) -> PlannedModule:
    instances = tuple(_instance(features, needs, facts) for facts in needs.table.instances)
    stock = features.stock_name
    kernels = [kernel.id for instance in instances for kernel in instance.kernels]
    coverage = _coverage(features, needs)
    contract = "" if first else contracts[0].name
    key = identity.module_key(stock, kernels, coverage=coverage, contract=contract)
    return PlannedModule(
        name=identity.module_name(stock, key, coverage=coverage, contract=contract),
        stock_name=stock,
        key=key,
        coverage=coverage,
        features=features,
        family=needs.table.family,
        instances=instances,
        recipes=tuple(sorted({recipe.name for recipe in needs.recipes})),
        contracts=contracts,
    )


def _coverage(features: ModuleKey, needs: _ModuleNeeds) -> Coverage:
    """A split-K module hands on what AITER's own answers with wrong numbers: it is never full."""
    if not needs.full:
        return "deployed"
    wrong = [w for facts in needs.table.family.instances for w in facts.wrong.values()]
    whole = not features.splitk and all(each.instead is not None for each in wrong)
    return "full" if whole else "sound"


def _instance(features: ModuleKey, module: _ModuleNeeds, instance: Instance) -> PlannedInstance:
    name, family, facts = instance.name, module.table.family, module.table.facts(instance)
    needs, reachable = module.needs.get(name, []), _reachable(features, module.table, instance)
    wanted = reachable if module.full else tuple(sorted({need.variant for need in needs}))
    kernels = tuple(
        _kernel(name, variant, needs, full=module.full)
        for variant in wanted
        if variant not in facts.wrong
    )
    return PlannedInstance(
        facts=instance,
        family=family,
        tile=facts.tile,
        features=features,
        kernels=kernels,
        why=_why(needs, full=module.full),
        excluded=(
            *(rules.not_divisible(name, *refused) for refused in module.refused.get(name, [])),
            *_exclusions(name, module, facts, wanted, reachable),
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
    name: str,
    module: _ModuleNeeds,
    facts: InstanceFacts,
    wanted: Sequence[Variant],
    reachable: Sequence[Variant],
) -> tuple[Exclusion, ...]:
    if not wanted and name in module.refused:
        return ()
    if not wanted:
        dims = {dim for recipe in module.recipes for dim in recipe.moe_inter_dim.values()}
        return (rules.not_reached(name, facts, sorted(dims)),)
    variants = module.table.family.variants(facts.tile)
    found: list[Exclusion] = []
    for variant in variants:
        kernel = identity.kernel_id(name, main_loop=variant[0], tail=variant[1])
        wrong = rules.wrong_numbers(facts, variant, kernel)
        if wrong is not None:
            found.append(wrong)
        elif variant not in wanted:
            found.append(rules.no_k(kernel, any_k=variant in reachable))
    return tuple(found)
