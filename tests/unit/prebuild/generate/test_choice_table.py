"""The C++ table, AITER's choice in Python and the planner say the same, over the whole grid.

The generated text is read back and asked as ``csrc/dispatch.cpp`` does (which compiled code
answers, ``tests/integration/test_choices.py`` asks).  Tiles and K steps are taken from the names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import pytest

from aiter_prebuilt.call import STAGES, Call, ModuleKey, Shape
from aiter_prebuilt.choice import routing
from aiter_prebuilt.choice.dispatch import choose
from aiter_prebuilt.wheel.manifest import Deployment
from prebuild.core.model import Plan, PlannedModule
from prebuild.families import load_families
from prebuild.generate.sources import generate
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe, find_recipes, load_recipes
from tests.unit.prebuild.samples import PROJECT

BLOCK_MS = (16, 32, 33, 64, 128, 256, 512)
INTER_DIMS = (64, 128, 191, 192, 193, 255, 256, 257, 384, 512, 768, 1024, 1536, 2048)
MODEL_DIMS = (64, 128, 192, 256, 512, 768, 2048, 7168, 7200, 7168 + 256)
_REACHES = re.compile(r"constexpr Reach kReach(\d+)\[\] = \{(.*)\};")
_INSTEAD = re.compile(r"constexpr Instead kInstead(\d+)\[\] = \{(.*)\};")
_WRONG = re.compile(r'\{ (true|false), (true|false), (\d+), "([^"]+)" \}')
_INSTANCE = re.compile(
    r'\{"(moe_\w+)", ([12]), (\d+), (\d+), (\d+), (\w+), (?:kReach(\d+)|nullptr), (\d+), '
    r"(?:kInstead(\d+)|nullptr), (\d+)\},"
)
_TILE = re.compile(r"gemm[12]_\d+x(\d+)x(\d+)x(\d+)_\dx\d_\w+?_v(\d)_")
_TOP = 2**31


@dataclass(frozen=True, kw_only=True)
class Entry:
    name: str
    stage: int
    n: int
    k: int
    prefetch: int
    built: bool
    reaches: tuple[tuple[int, ...], ...]
    instead: dict[tuple[bool, bool], int]
    """(main loop, odd number of steps) of a wrong kernel -> place of the instance that answers."""


def read_table(text: str) -> tuple[Entry, ...]:
    """The table of a generated module.cpp."""
    reaches = {
        number: tuple(
            tuple(_TOP if word == "INT_MAX" else int(word) for word in row.split(", "))
            for row in re.findall(r"\{ ([^}]+) \}", body)
        )
        for number, body in _REACHES.findall(text)
    }
    instead = {
        number: {
            (main == "true", odd == "true"): int(place)
            for main, odd, place, _ in _WRONG.findall(body)
        }
        for number, body in _INSTEAD.findall(text)
    }
    found = []
    for name, stage, n, k, prefetch, launch, reach, reaching, rule, rules in _INSTANCE.findall(
        text
    ):
        own = reaches.get(reach, ())
        wrong = instead.get(rule, {})
        assert (len(own), len(wrong)) == (int(reaching), int(rules))
        found.append(
            Entry(
                name=name, stage=int(stage), n=int(n), k=int(k), prefetch=int(prefetch),
                built=launch != "nullptr", reaches=own, instead=wrong,
            )
        )  # fmt: skip
    return tuple(found)


def ask(table: tuple[Entry, ...], call: Call) -> tuple[str | None, bool, str | None]:
    """csrc/dispatch.cpp, choose: (instance, whether a name was given that is unknown, replaced)."""
    asked = next((entry for entry in table if call.kernel_name == entry.name), None)
    unknown = bool(call.kernel_name) and asked is None
    if asked is None:
        asked = next((entry for entry in table if reaches(entry, call)), None)
    if asked is None:
        return None, unknown, None
    n, k = call.gemm.n, call.gemm.k
    if n % asked.n == 0 and k % asked.k == 0:
        steps = k // asked.k
        place = asked.instead.get((steps > asked.prefetch, steps % 2 == 1))
        if place is not None and n % table[place].n == 0 and k % table[place].k == 0:
            return table[place].name, unknown, asked.name
    return asked.name, unknown, None


def reaches(entry: Entry, call: Call) -> bool:
    dim = call.shape.inter_dim
    return any(
        (entry.stage, block_m) == (call.stage, call.block_m)
        and low <= dim <= high
        and dim % multiple == 0
        and (other == 0 or dim % other != 0)
        for block_m, low, high, multiple, other in entry.reaches
    )


def kernel(name: str, features: ModuleKey, n: int, k: int) -> tuple[bool, str] | str:
    """CK's kernel for N and K, or which of them it refuses; the tile is read from the name."""
    found = _TILE.search(name)
    assert found is not None
    tile_n, tile_k, pipeline = int(found[2]), int(found[3]), int(found[4])
    tile_k *= 2 if features.a_dtype == "fp4x2" else 1
    if k % tile_k:
        return "K"
    if n % tile_n:
        return "N"
    # MX operands without preshuffled weights have a v1 pipeline that prefetches one, of one tail.
    plain_v1 = features.a_dtype == "fp4x2" and not features.preshuffle and pipeline == 1
    steps = k // tile_k
    tail = "full" if plain_v1 else "odd" if steps % 2 else "even"
    return steps > (1 if plain_v1 else 2), tail


def every_features() -> Iterator[ModuleKey]:
    for family in load_families().values():
        for (a, b, c), quant, activation, shuffled, stage in itertools.product(
            family.dtypes, family.quants, family.activations, family.preshuffle, STAGES
        ):
            if activation != "swiglu":  # the CK at hand has none
                yield ModuleKey(
                    a_dtype=a, b_dtype=b, c_dtype=c, preshuffle=shuffled, activation=activation,
                    quant=quant, routed_weight_stage=stage,
                )  # fmt: skip


@cache
def whole_module(features: ModuleKey) -> tuple[PlannedModule, tuple[Entry, ...]]:
    recipe = Recipe.model_validate(
        {
            "schema": 1, "name": "whole", "model": "m", "hidden_size": 4096,
            "moe_inter_dim": {1: 1024}, "experts": 64, "top_k": 8, "coverage": "full",
            "activation_dtype": features.a_dtype, "weight_dtype": features.b_dtype,
            "output_dtypes": [features.c_dtype], "quant": features.quant,
            "activation": features.activation, "preshuffle": features.preshuffle,
            "routed_weight_stage": features.routed_weight_stage,
        }
    )  # fmt: skip
    (module,) = make_plan([recipe]).modules
    return module, table_of(module)


def table_of(module: PlannedModule) -> tuple[Entry, ...]:
    sources = generate(Plan(modules=(module,), recipes={}, exclusions=()), PROJECT.templates)
    return read_table(sources[PurePosixPath(module.name) / "module.cpp"])


def calls(features: ModuleKey, names: tuple[str, ...]) -> Iterator[Call]:
    for stage, block_m, inter_dim, name in itertools.product(
        STAGES, BLOCK_MS, INTER_DIMS, ("", "no_such_kernel", *names)
    ):
        # A name decides alone, whatever block_m is.
        for model_dim in MODEL_DIMS if not name or block_m == BLOCK_MS[0] else MODEL_DIMS[:1]:
            shape = Shape(model_dim=model_dim, inter_dim=inter_dim, experts=64, topk=8)
            yield Call(
                features=features, shape=shape, stage=stage, tokens=64, block_m=block_m,
                kernel_name=name,
            )  # fmt: skip


@pytest.mark.parametrize("features", list(every_features()), ids=lambda key: key.stock_name)
def test_python_and_the_cpp_table_choose_alike(features: ModuleKey) -> None:
    module, table = whole_module(features)
    assert [entry.name for entry in table] == [item.name for item in module.instances]
    own = [item.facts for item in module.instances]
    wrong = {
        (item.name, *variant): verdict.instead
        for item, facts in zip(module.instances, module.family.instances, strict=True)
        for variant, verdict in facts.wrong.items()
    }
    refused, replaced, left_wrong = set(), set(), set()
    for call in calls(features, tuple(item.name for item in own)):
        found = choose(own, call)
        name = found.instance.name if found.instance is not None else None
        instead_of = found.replaced.instance.name if found.replaced is not None else None
        assert (name, found.name_unknown, instead_of) == ask(table, call), call
        n, k = call.shape.inter_dim, call.shape.model_dim
        n, k = (n, k) if call.stage == 1 else (k, n)
        expected: Any = kernel(name, features, n, k) if name else "block_m"
        assert found.variant == (None if isinstance(expected, str) else expected), call
        refusal = found.refusal.what if found.refusal is not None else None
        assert refusal == (expected if isinstance(expected, str) else None), call
        refused.add(refusal)
        if instead_of is not None:
            asked = (instead_of, *kernel(instead_of, features, n, k))
            assert asked in wrong
            replaced.add(asked)
        elif (name, *(found.variant or ())) in wrong:
            left_wrong.add(n % 128)
    assert refused == {None, "K", "N", "block_m"}
    assert replaced == set(wrong)
    assert left_wrong == ({32, 64} if wrong else set())  # what 256x32x128x128 does not divide


def named_calls(recipe: Recipe, deployment: Deployment, table: tuple[Entry, ...]) -> Iterator[Call]:
    for named in recipe.named_kernels:
        tile, _, pipeline = named.tile.rpartition("_")
        if deployment.shape.inter_dim in named.inter_dims:
            (name,) = (
                entry.name
                for entry in table
                if f"_gemm{named.stage}_{tile}_" in entry.name and f"_{pipeline}_" in entry.name
            )
            yield Call(
                features=deployment.features, shape=deployment.shape, stage=named.stage,
                tokens=1, block_m=1, kernel_name=name,
            )  # fmt: skip


@pytest.mark.parametrize(
    "recipe", load_recipes(find_recipes([], PROJECT.recipes)), ids=lambda recipe: recipe.name
)
def test_the_planner_holds_what_the_cpp_table_takes(recipe: Recipe) -> None:
    """Every kernel that a call of the recipe reaches or a tuned row names, and no other."""
    recipe = recipe.model_copy(update={"coverage": "deployed"})
    for module in make_plan([recipe]).modules:
        features, table = module.features, table_of(module)
        wanted = set()
        for deployment in recipe.deployments(features):
            tokens = (deployment.tokens_min, deployment.tokens_max)
            heuristic = routing.heuristic_calls(features, deployment.shape, tokens)
            asked = [call for call in heuristic if call.features == features]
            for call in (*asked, *named_calls(recipe, deployment, table)):
                name, _, _ = ask(table, call)
                found = kernel(name, features, call.gemm.n, call.gemm.k) if name else ""
                if name and not isinstance(found, str):
                    wanted.add((name, *found))
        held = {(i.name, k.main_loop, k.tail) for i in module.instances for k in i.kernels}
        wrong = {
            (item.name, *variant)
            for item, facts in zip(module.instances, module.family.instances, strict=True)
            for variant in facts.wrong
        }
        assert held == wanted - wrong
