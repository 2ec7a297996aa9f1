"""The routing of untuned calls, against a second statement of AITER's rules and by brute force."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiter_prebuilt.choice import routing
from aiter_prebuilt.choice.dispatch import choose_block_m, padded_tokens
from aiter_prebuilt.choice.routing import Route, Shape, heuristic_route
from aiter_prebuilt.wheel.manifest import ModuleKey

V9, V4 = routing.AITER_VERSIONS
SHAPE: dict[str, Any] = {"model_dim": 7168, "inter_dim": 512, "experts": 256, "topk": 8}


def key(a: str, b: str, c: str, quant: str, **changes: Any) -> ModuleKey:
    features: dict[str, Any] = {
        "a_dtype": a,
        "b_dtype": b,
        "c_dtype": c,
        "quant": quant,
        "preshuffle": True,
        "activation": "silu",
        "routed_weight_stage": 2,
        **changes,
    }
    return ModuleKey(**features)


MXFP4 = ("fp4x2", "fp4x2", "b16", "per_1x32")
BLOCKSCALE = ("f8", "f8", "b16", "per_1x128")
PER_TOKEN = ("f8", "f8", "b16", "per_token")


def route(
    features: ModuleKey, tokens: int, version: Any = V4, *, flydsl: bool = True, **sizes: int
) -> Route:
    shape = Shape(tokens=tokens, **{**SHAPE, **sizes})
    return heuristic_route(features, shape, version=version, flydsl=flydsl)


@pytest.mark.parametrize(
    ("features", "tokens", "version", "flydsl", "sizes", "stages", "rule"),
    [
        (key(*MXFP4), 4096, V9, True, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4), 4096, V4, True, {}, "flydsl", "mxfp4-flydsl"),
        (key(*MXFP4), 4096, V4, False, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4, preshuffle=False), 4096, V4, True, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4, routed_weight_stage=1), 4096, V4, True, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4), 1, V9, True, {}, "cktile", "mxfp4-split-k"),
        (key(*MXFP4, activation="swiglu"), 64, V9, True, {}, "cktile", "swiglu-mxfp4"),
        (key(*BLOCKSCALE), 32, V4, True, {}, "ck2stages", "ck2stages"),
        (key(*BLOCKSCALE), 33, V4, True, {}, "one-stage", "one-stage-assembly"),
        (key(*BLOCKSCALE), 33, V4, True, {"inter_dim": 192}, "ck2stages", "ck2stages"),
        (key(*BLOCKSCALE, routed_weight_stage=1), 999, V4, True, {}, "ck2stages", "ck2stages"),
        (key("f8", "f8", "f16", "per_1x128"), 999, V4, True, {}, "ck2stages", "ck2stages"),
        (key(*PER_TOKEN), 16, V4, True, {}, "ck2stages", "ck2stages"),
        (key(*PER_TOKEN), 17, V4, True, {}, "one-stage", "one-stage-assembly"),
        (key(*PER_TOKEN), 1, V4, True, {"inter_dim": 192}, "one-stage", "one-stage-assembly"),
        (key(*PER_TOKEN, routed_weight_stage=1), 17, V4, True, {}, "one-stage",
         "one-stage-assembly"),
        (key(*PER_TOKEN, routed_weight_stage=1, activation="gelu"), 17, V4, True, {},
         "ck2stages", "ck2stages"),
        (key("f8", "f8", "b16", "per_tensor"), 999, V4, True, {}, "ck2stages", "ck2stages"),
        (key("b16", "b16", "b16", "no"), 999, V4, True, {}, "ck2stages", "ck2stages"),
        (key("f8", "i4", "b16", "per_token"), 999, V4, True, {}, "ck2stages", "ck2stages"),
    ],
)  # fmt: skip
def test_routes(
    features: ModuleKey, tokens: int, version: Any, flydsl: bool, sizes: dict[str, int],
    stages: str, rule: str,
) -> None:  # fmt: skip
    found = route(features, tokens, version, flydsl=flydsl, **sizes)
    assert (found.stage1, found.stage2, found.rule) == (stages, stages, rule)


def test_int8_weights_take_assembly_first_and_ck_second() -> None:
    found = route(key("i8", "i8", "b16", "per_token"), 64)
    assert (found.stage1, found.stage2) == ("asm", "ck2stages")


def naive_split(padded: int, shape: Shape) -> int:
    """get_ksplit of aiter/fused_moe.py, said again: every split tried from the largest."""
    tiles_n = (shape.inter_dim + 127) // 128
    busy = tiles_n * padded * shape.topk
    if padded * shape.topk > shape.experts or busy >= 256:
        return 0
    candidates = [
        parts
        for parts in range(2, (256 + busy - 1) // busy + 1)
        if shape.model_dim % parts == 0 and (shape.model_dim // parts) % 256 == 0
    ]
    return max(candidates, default=0)


shapes = st.builds(
    Shape,
    tokens=st.integers(1, 200_000),
    model_dim=st.integers(1, 40).map(lambda n: n * 256),
    inter_dim=st.integers(1, 4096),
    experts=st.integers(8, 513),
    topk=st.integers(1, 11),
)


@given(shape=shapes, quant=st.sampled_from(["per_1x128", "per_1x32"]))
def test_the_split_of_k(shape: Shape, quant: str) -> None:
    padded = padded_tokens(shape.tokens)
    assert routing.split_k(quant, padded, shape) == naive_split(padded, shape)
    assert routing.split_k("per_token", padded, shape) == 0


@given(low=st.integers(1, 140_000), more=st.integers(0, 3000))
def test_padded_counts_are_those_of_every_count(low: int, more: int) -> None:
    every = {padded_tokens(tokens) for tokens in range(low, low + more + 1)}
    assert routing.padded_counts(low, low + more) == tuple(sorted(every))


def test_padded_counts_of_all_tokens() -> None:
    every = {padded_tokens(tokens) for tokens in range(1, 131_073)}
    assert routing.padded_counts(1, 131_072) == tuple(sorted(every))


FEATURES = [
    key(*MXFP4),
    key(*MXFP4, preshuffle=False),
    key(*BLOCKSCALE),
    key(*BLOCKSCALE, splitk=True),
    key(*BLOCKSCALE, routed_weight_stage=1),
    key(*PER_TOKEN),
    key("f8", "f8", "f16", "per_token"),
    key("b16", "b16", "b16", "no"),
]


def brute_force(
    features: ModuleKey, stage: int, shape: Shape, low: int, high: int
) -> tuple[int, ...]:
    """Ask for every single token count, every version, with FlyDSL and without."""
    found = set()
    for tokens in range(low, high + 1):
        at = Shape(tokens=tokens, model_dim=shape.model_dim, inter_dim=shape.inter_dim,
                   experts=shape.experts, topk=shape.topk)  # fmt: skip
        for version in routing.AITER_VERSIONS:
            for flydsl in (True, False):
                found.add(heuristic_route(features, at, version=version, flydsl=flydsl))
    if stage == 2:
        hits = {r.block_m for r in found if r.stage2 == "ck2stages" and not features.splitk}
    else:
        wanted = features.splitk
        hits = {
            r.block_m
            for r in found
            if r.stage1 == "ck2stages"
            and (features.quant == "per_1x128" and r.split_k > 1) == wanted
        }
    return tuple(sorted(hits))


@settings(max_examples=60, deadline=None)
@given(
    features=st.sampled_from(FEATURES),
    stage=st.sampled_from([1, 2]),
    shape=shapes,
    low=st.integers(1, 3000),
    more=st.integers(0, 200),
)
def test_reached_block_sizes_are_those_of_every_token_count(
    features: ModuleKey, stage: Any, shape: Shape, low: int, more: int
) -> None:
    expected = brute_force(features, stage, shape, low, low + more)
    assert routing.reached_block_ms(features, stage, shape, (low, low + more)) == expected


@pytest.mark.parametrize("features", [key(*MXFP4), key(*BLOCKSCALE)])
@pytest.mark.parametrize("stage", [1, 2])
def test_reached_block_sizes_of_all_131072_counts(features: ModuleKey, stage: Any) -> None:
    shape = Shape(tokens=1, **SHAPE)
    routes = {}
    for tokens in range(1, 131_073):
        padded = padded_tokens(tokens)
        if padded not in routes:
            routes[padded] = brute_force(features, stage, shape, tokens, tokens)
    expected = tuple(sorted({block for blocks in routes.values() for block in blocks}))
    assert routing.reached_block_ms(features, stage, shape, (1, 131_072)) == expected


@given(shape=shapes)
def test_block_sizes_cost_the_least(shape: Shape) -> None:
    """get_block_size_M, said again: fewest rounds of work groups, then fewest idle CUs."""
    padded = padded_tokens(shape.tokens)
    costs = {}
    for block in (32, 64, 128):
        rows = padded * shape.topk + shape.experts * block - shape.topk
        groups = ((shape.inter_dim + 127) // 128) * (rows + block - 1) // block
        costs[block] = ((groups + 255) // 256, 256 - groups % 256)
    best = min(costs.values())
    chosen = choose_block_m("no", shape.tokens, shape.topk, shape.experts, shape.inter_dim)
    assert chosen == next(block for block, cost in costs.items() if cost == best)


def test_a_size_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="tokens is 0"):
        route(key(*BLOCKSCALE), 0)
