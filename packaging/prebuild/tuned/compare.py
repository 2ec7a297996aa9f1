"""Tuned rows against recipes: what is missing, and what no row asks for any more."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiter_prebuilt.call import STAGES, ModuleKey, Stage
from aiter_prebuilt.choice.tuned import FALLBACK
from prebuild.plan import rules
from prebuild.recipe.recipes import NamedKernel, Recipe, validated
from prebuild.tuned.coverage import recipe_uses
from prebuild.tuned.uses import Reading, Use, use_of


@dataclass(frozen=True, kw_only=True, order=True)
class Kernel:
    """A kernel that tuned rows name, as recipes write it, at one inter_dim."""

    stage: Stage
    tile: str
    inter_dim: int

    @property
    def text(self) -> str:
        """``stage 1 256x32x128x128_1x4_v3 at inter_dim 512``."""
        return f"stage {self.stage} {self.tile} at inter_dim {self.inter_dim}"


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Shapes of rows that no recipe has."""

    features: ModuleKey
    model_dim: int
    inter_dims: tuple[int, ...]
    experts: int
    topk: int
    kernels: tuple[Kernel, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Findings, each by recipe name where it concerns one."""

    missing: tuple[Missing, ...]
    lacking: tuple[tuple[str, Kernel], ...]
    """Rows name it, the heuristic does not take it, and the recipe does not name it."""
    stale: tuple[tuple[str, Kernel], ...]
    """The recipe names it, and of the rows for its shape none does."""
    dead: tuple[str, ...]
    """Recipes none of whose shapes comes to CK2stages, by a row or by the heuristic."""

    @property
    def clean(self) -> bool:
        """Whether recipes and rows agree."""
        return not (self.missing or self.lacking or self.stale or self.dead)


def compare(
    recipes: Sequence[Recipe], readings: Sequence[Reading], *, fallback: bool = False
) -> Comparison:
    """Compare recipes with the uses of all rows; what no module can hold does not count.

    Rows tagged ``flydsl_fallback`` serve an AITER without FlyDSL, which its own requirements pin;
    they ask for nothing unless ``fallback`` is true, but a recipe may name what they name.
    """
    every = [use for reading in readings for use in reading.uses if _counts(use)]
    tuned = {reading.entry.where for reading in readings if reading.entry.kind == "tuned"}
    spare = {v.entry.where for v in readings if v.entry.row.tag == FALLBACK and not fallback}
    uses = [use for use in every if use.where not in spare]
    return Comparison(
        missing=_missing(recipes, uses),
        lacking=tuple(item for recipe in recipes for item in _lacking(recipe, uses)),
        stale=tuple(
            item
            for recipe in recipes
            for item in _stale(recipe, [use for use in every if use.where in tuned])
        ),
        dead=tuple(recipe.name for recipe in recipes if _is_dead(recipe, uses)),
    )


def _counts(use: Use) -> bool:
    if use.table is None or use.choice is None or use.facts is None or use.call.features.splitk:
        return False
    if rules.unavailable(use.table.family, use.call.features, use.module) is not None:
        return False
    return use.choice.variant is not None and use.choice.variant not in use.facts.wrong


def _has(recipe: Recipe, use: Use) -> bool:
    features, shape = use.call.features, use.call.shape
    return features in recipe.features() and any(
        (deployment.shape.model_dim, deployment.shape.inter_dim)
        == (shape.model_dim, shape.inter_dim)
        for deployment in recipe.deployments(features)
    )


def _missing(recipes: Sequence[Recipe], uses: Iterable[Use]) -> tuple[Missing, ...]:
    groups: dict[tuple[ModuleKey, int], list[Use]] = defaultdict(list)
    for use in uses:
        if not any(_has(recipe, use) for recipe in recipes):
            groups[use.call.features, use.call.shape.model_dim].append(use)
    return tuple(
        Missing(
            features=features,
            model_dim=model_dim,
            inter_dims=tuple(sorted({use.call.shape.inter_dim for use in group}, reverse=True)),
            experts=_commonest(use.call.shape.experts for use in group),
            topk=_commonest(use.call.shape.topk for use in group),
            kernels=_named(group),
            rows=len({use.where for use in group}),
        )
        for (features, model_dim), group in groups.items()
    )


def _commonest(values: Iterable[int]) -> int:
    return Counter(values).most_common(1)[0][0]


def _named(uses: Iterable[Use]) -> tuple[Kernel, ...]:
    """The kernels that rows name, without those that the heuristic takes whatever block_m is."""
    return tuple(
        sorted(
            {
                Kernel(
                    stage=use.call.stage,
                    tile=use.facts.tile.name,
                    inter_dim=use.call.shape.inter_dim,
                )
                for use in uses
                if use.named and use.facts is not None
            }
        )
    )


def _lacking(recipe: Recipe, uses: Iterable[Use]) -> Iterable[tuple[str, Kernel]]:
    own = [
        use
        for use in uses
        if _has(recipe, use) and use.facts is not None and recipe.takes_block_m(use.facts.tile.m)
    ]
    have = _recipe_kernels(recipe) | _heuristic_kernels(recipe)
    for kernel in _named(own):
        if kernel not in have:
            yield recipe.name, kernel


def _stale(recipe: Recipe, uses: Iterable[Use]) -> Iterable[tuple[str, Kernel]]:
    own = [use for use in uses if _has(recipe, use)]
    tuned_dims = {use.call.shape.inter_dim for use in own}
    for kernel in sorted(_recipe_kernels(recipe) - set(_named(own))):
        if kernel.inter_dim in tuned_dims:
            yield recipe.name, kernel


def _recipe_kernels(recipe: Recipe) -> set[Kernel]:
    return {
        Kernel(stage=named.stage, tile=named.tile, inter_dim=inter_dim)
        for named in recipe.named_kernels
        for inter_dim in named.inter_dims
    }


def _heuristic_kernels(recipe: Recipe) -> set[Kernel]:
    """What the plan holds for the recipe without any name."""
    return {
        Kernel(stage=call.stage, tile=use.facts.tile.name, inter_dim=deployment.shape.inter_dim)
        for features in recipe.features()
        for deployment in recipe.deployments(features)
        for stage in STAGES
        for call in rules.heuristic_calls(recipe, deployment, stage)
        for use in [use_of(recipe.name, call)]
        if use.facts is not None
    }


def _is_dead(recipe: Recipe, uses: Iterable[Use]) -> bool:
    if any(_has(recipe, use) for use in uses):
        return False
    return not any(_counts(use) for use in recipe_uses([recipe]))


def draft(missing: Missing) -> Recipe:
    """Return a recipe for shapes that have none; name and model are for a person to fill in.

    Of FP8 and BF16 weights servers mark some as shuffled and lose the mark of others
    (docs/models.md), so such a draft has both.
    """
    features = missing.features
    largest = missing.inter_dims[0]
    dims = {largest // dim: dim for dim in missing.inter_dims if largest % dim == 0}
    return validated(
        {
            "schema": 1,
            "name": f"draft-{features.a_dtype}-{features.quant.replace('_', '-')}"
            f"-{missing.model_dim}",
            "model": "(name the model here)",
            "hidden_size": missing.model_dim,
            "moe_inter_dim": dims,
            "experts": missing.experts,
            "top_k": missing.topk,
            "activation_dtype": features.a_dtype,
            "weight_dtype": features.b_dtype,
            "output_dtypes": [features.c_dtype],
            "quant": features.quant,
            "activation": features.activation,
            "preshuffle": features.preshuffle if features.a_dtype == "fp4x2" else [True, False],
            "routed_weight_stage": features.routed_weight_stage,
            "named_kernels": [
                named.model_dump() for named in named_kernels(missing.kernels, dims.values())
            ],
        }
    )


def dropped(missing: Missing) -> tuple[int, ...]:
    """The inter_dims that are no part of the largest one: :func:`draft` leaves them out."""
    return tuple(dim for dim in missing.inter_dims if missing.inter_dims[0] % dim)


def named_kernels(kernels: Iterable[Kernel], inter_dims: Iterable[int]) -> tuple[NamedKernel, ...]:
    """Return kernels as a recipe writes them: one entry a tile, with all of its inter_dims."""
    allowed = set(inter_dims)
    dims: dict[tuple[Stage, str], list[int]] = defaultdict(list)
    for kernel in sorted(kernels):
        if kernel.inter_dim in allowed:
            dims[kernel.stage, kernel.tile].append(kernel.inter_dim)
    return tuple(
        NamedKernel(stage=stage, tile=tile, inter_dims=tuple(sorted(found, reverse=True)))
        for (stage, tile), found in dims.items()
    )


def as_lines(comparison: Comparison) -> list[str]:
    """Return one line a finding."""
    lines = [
        f"missing recipe: {_module_text(item)} ({item.rows} rows)" for item in comparison.missing
    ]
    lines += [f"recipe {name} lacks {kernel.text}" for name, kernel in comparison.lacking]
    lines += [f"recipe {name}: no row names {kernel.text}" for name, kernel in comparison.stale]
    lines += [f"recipe {name}: nothing of it comes to CK2stages" for name in comparison.dead]
    return lines


def _module_text(item: Missing) -> str:
    dims = ", ".join(str(dim) for dim in item.inter_dims)
    features = item.features
    return (
        f"{features.a_dtype} x {features.b_dtype} -> {features.c_dtype}, {features.quant}, "
        f"{features.activation}, routed weight in stage {features.routed_weight_stage}, model_dim "
        f"{item.model_dim}, inter_dim {dims}, {item.experts} experts, top {item.topk}"
    )


def as_json(comparison: Comparison) -> Mapping[str, Any]:
    """Return the findings as plain values."""
    return {
        "missing": [dataclasses.asdict(item) for item in comparison.missing],
        "lacking": [{"recipe": n, **dataclasses.asdict(k)} for n, k in comparison.lacking],
        "stale": [{"recipe": n, **dataclasses.asdict(k)} for n, k in comparison.stale],
        "dead": list(comparison.dead),
    }
