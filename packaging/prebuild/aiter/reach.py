"""Where a release of AITER sends the calls of the recipes' models: counted, and kept as data.

A call is one stage of a MoE layer at one of :data:`TOKENS` token counts, on a GPU that is not
partitioned, by AITER's own tuned tables at its tag and by its rules (:mod:`aiter_prebuilt.choice`).
The counts are facts, and are kept; the tables are AITER's, and are read from its repository alone.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiter_prebuilt import target
from aiter_prebuilt.call import STAGES, Call, ModuleKey, Shape
from aiter_prebuilt.choice import lookup
from aiter_prebuilt.choice.dispatch import choose
from aiter_prebuilt.choice.routing import route
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.generations import Book, Generation
from prebuild.families import find_table
from prebuild.recipe.recipes import Recipe

TOKENS = tuple(2**power for power in range(18))
"""1 to 131072: AITER looks its choice up with a power of two."""
CALLS = len(TOKENS) * len(STAGES)
FILE = Path(__file__).parent / "reach.json"
CK2STAGES, SPLIT_K, RAISES = "ck2stages", "split-k", "raises"
PLACES: Mapping[str, str] = {
    CK2STAGES: "CK2stages",
    SPLIT_K: "CK2stages split-K",
    "flydsl": "FlyDSL",
    "one-stage": "one-stage assembly",
    "asm": "assembly",
    "cktile": "CK-Tile",
    "opus": "Opus",
    RAISES: "AITER raises",
}
"""Where a call can go, and how documents call it.  Split K is a module of its own."""

Counts = Mapping[str, int]
"""Place -> calls."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where the calls of one recipe go under one release."""

    recipe: str
    layer: str
    """What was counted (:func:`layer_of`)."""
    release: str
    flydsl: bool
    """Whether FlyDSL is installed."""
    counts: Mapping[int, Counts]
    """By tensor-parallel size."""


def reach(
    release: str, generation: Generation, configs: Path, recipes: Iterable[Recipe]
) -> tuple[Reach, ...]:
    """Count for every recipe, with FlyDSL and without; ``configs`` holds the tag's tables."""
    found = []
    for recipe, flydsl in itertools.product(recipes, (True, False)):
        rules = Rules(generation=generation, flydsl=flydsl, cu_count=target.load().cu_count)
        tables = lookup.read(lookup.installed(configs), generation, rules.cu_count)
        features = recipe.features()[0]  # a mark of its weights changes no FP8 or BF16 call's way
        counts = {
            deployment.tp: _counted(features, deployment.shape, tables, rules)
            for deployment in recipe.deployments(features)
        }
        found.append(
            Reach(
                recipe=recipe.name,
                layer=layer_of(recipe),
                release=release,
                flydsl=flydsl,
                counts=counts,
            )
        )
    return tuple(found)


def layer_of(recipe: Recipe) -> str:
    """Return the recipe's MoE layer in short: counts of another one are not this one's."""
    sizes = ", ".join(f"{dim} at TP {tp}" for tp, dim in recipe.moe_inter_dim.items())
    kind = recipe.features()[0].stock_name
    return f"{kind}: {recipe.hidden_size} x {sizes}; {recipe.top_k} of {recipe.experts} experts"


def _counted(
    features: ModuleKey, shape: Shape, tables: lookup.Tables, rules: Rules
) -> dict[str, int]:
    counts = Counter(_places(features, shape, tables, rules))
    return {place: counts[place] for place in PLACES if counts[place]}


def _places(
    features: ModuleKey, shape: Shape, tables: lookup.Tables, rules: Rules
) -> Iterator[str]:
    for tokens in TOKENS:
        found = lookup.find(tables, features, shape, tokens, rules)
        taken = route(features, shape, tokens, rules, found.row if found else None)
        for stage in STAGES:
            if taken.fault or tables.problem:
                yield RAISES
            elif taken.backend(stage) != CK2STAGES:
                yield taken.backend(stage)
            else:
                yield _within_ck2stages(taken.calls[stage - 1])


def _within_ck2stages(call: Call) -> str:
    table = find_table(call.features)
    if table is not None and choose(table.instances, call).refusal is not None:
        return RAISES
    return SPLIT_K if call.features.splitk else CK2STAGES


def load() -> tuple[Reach, ...]:
    """Read the data file."""
    return parse(json.loads(FILE.read_text(encoding="utf-8")))


def parse(raw: Mapping[str, Any]) -> tuple[Reach, ...]:
    """Return the file's content; raises KeyError or TypeError where it is another's."""
    return tuple(
        Reach(
            recipe=recipe,
            layer=found["layer"],
            release=release,
            flydsl=flydsl,
            counts={int(tp): counts for tp, counts in row["counts"].items()},
        )
        for recipe, found in raw.items()
        for row in found["rows"]
        for flydsl, key in ((True, "with_flydsl"), (False, "without"))
        for release in row[key]
    )


def merged(
    old: Iterable[Reach], new: Iterable[Reach], book: Book, recipes: Sequence[Recipe]
) -> tuple[Reach, ...]:
    """Return ``new`` in place of older counts: these recipes' alone, in the book's order."""
    layers = {recipe.name: layer_of(recipe) for recipe in recipes}
    known = {
        (each.recipe, each.release, each.flydsl): each
        for each in (*old, *new)
        if layers.get(each.recipe) == each.layer
    }
    tags = [release.tag for release in book.releases]
    keys = itertools.product(layers, tags, (True, False))
    return tuple(known[key] for key in keys if key in known)


def as_text(every: Iterable[Reach]) -> str:
    """Return the file: for each recipe a line for all releases that count alike."""
    blocks = []
    for recipe, found in itertools.groupby(every, key=lambda each: each.recipe):
        groups = tuple(grouped(found))
        rows = ",\n".join(f"   {json.dumps(_row(alike))}" for alike in groups)
        head = f' {json.dumps(recipe)}: {{\n  "layer": {json.dumps(groups[0][0].layer)},\n'
        blocks.append(f'{head}  "rows": [\n{rows}\n  ]\n }}')
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def grouped(found: Iterable[Reach]) -> Iterator[tuple[Reach, ...]]:
    """Yield those of equal counts together, in the order in which they come first."""
    groups: dict[str, list[Reach]] = {}
    for each in found:
        groups.setdefault(json.dumps(each.counts, sort_keys=True), []).append(each)
    yield from map(tuple, groups.values())


def _row(alike: Sequence[Reach]) -> dict[str, Any]:
    return {
        "with_flydsl": [each.release for each in alike if each.flydsl],
        "without": [each.release for each in alike if not each.flydsl],
        "counts": alike[0].counts,
    }
