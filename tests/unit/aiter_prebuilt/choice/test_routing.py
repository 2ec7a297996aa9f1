"""The routing of untuned calls, against a second statement of AITER's rules and by brute force."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiter_prebuilt.call import ModuleKey, Shape
from aiter_prebuilt.choice import routing
from aiter_prebuilt.choice.routing import (
    Route,
    Rules,
    choose_block_m,
    heuristic_route,
    padded_tokens,
)

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
    rules = Rules(version=version, flydsl=flydsl, cu_count=256)
    return heuristic_route(features, Shape(**{**SHAPE, **sizes}), tokens, rules)


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
    assert (found.backends, found.rule) == ((stages, stages), rule)


def test_int8_weights_take_assembly_first_and_ck_second() -> None:
    found = route(key("i8", "i8", "b16", "per_token"), 64)
    assert found.backends == ("asm", "ck2stages")
    assert [call.stage for call in found.asked] == [2]


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
    model_dim=st.integers(1, 40).map(lambda n: n * 256),
    inter_dim=st.integers(1, 4096),
    experts=st.integers(8, 513),
    topk=st.integers(1, 11),
)


@given(shape=shapes, tokens=st.integers(1, 64), quant=st.sampled_from(["per_1x128", "per_1x32"]))
def test_the_split_of_k(shape: Shape, tokens: int, quant: str) -> None:
    padded = padded_tokens(tokens)
    assert routing.split_k(quant, padded, shape, 256) == naive_split(padded, shape)
    assert routing.split_k("per_token", padded, shape, 256) == 0


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
        for version in routing.AITER_VERSIONS:
            for flydsl in (True, False):
                rules = Rules(version=version, flydsl=flydsl, cu_count=256)
                found.add(heuristic_route(features, shape, tokens, rules))
    if stage == 2:
        hits = {
            r.calls[1].block_m
            for r in found
            if r.backends[1] == "ck2stages" and not features.splitk
        }
    else:
        wanted = features.splitk
        hits = {
            r.calls[0].block_m
            for r in found
            if r.backends[0] == "ck2stages"
            and (features.quant == "per_1x128" and r.split_k > 1) == wanted
        }
    return tuple(sorted(hits))


def reached(features: ModuleKey, stage: int, shape: Shape, low: int, high: int) -> tuple[int, ...]:
    calls = routing.heuristic_calls(features, shape, (low, high))
    own = [call for call in calls if (call.features, call.stage) == (features, stage)]
    assert all(call.shape == shape for call in own)
    return tuple(sorted(call.block_m for call in own))


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
    assert reached(features, stage, shape, low, low + more) == expected


@pytest.mark.parametrize("features", [key(*MXFP4), key(*BLOCKSCALE)])
@pytest.mark.parametrize("stage", [1, 2])
def test_reached_block_sizes_of_all_131072_counts(features: ModuleKey, stage: Any) -> None:
    shape = Shape(**SHAPE)
    routes = {}
    for tokens in range(1, 131_073):
        padded = padded_tokens(tokens)
        if padded not in routes:
            routes[padded] = brute_force(features, stage, shape, tokens, tokens)
    expected = tuple(sorted({block for blocks in routes.values() for block in blocks}))
    assert reached(features, stage, shape, 1, 131_072) == expected


@given(shape=shapes, tokens=st.integers(1, 200_000))
def test_block_sizes_cost_the_least(shape: Shape, tokens: int) -> None:
    """get_block_size_M, said again: fewest rounds of work groups, then fewest idle CUs."""
    padded = padded_tokens(tokens)
    costs = {}
    for block in (32, 64, 128):
        rows = padded * shape.topk + shape.experts * block - shape.topk
        groups = ((shape.inter_dim + 127) // 128) * (rows + block - 1) // block
        costs[block] = ((groups + 255) // 256, 256 - groups % 256)
    best = min(costs.values())
    chosen = choose_block_m("no", shape, tokens, 256)
    assert chosen == next(block for block, cost in costs.items() if cost == best)


def test_a_size_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="tokens is 0"):
        route(key(*BLOCKSCALE), 0)


@pytest.mark.parametrize(
    ("tokens", "padded"),
    [(1, 1), (2, 2), (3, 4), (1000, 1024), (16385, 32768), (32767, 32768), (32768, 32768),
     (131071, 32768), (131072, 131072), (10**6, 131072)],
)  # fmt: skip
def test_token_tiers(tokens: int, padded: int) -> None:
    assert padded_tokens(tokens) == padded


@pytest.mark.parametrize(
    ("tokens", "inter_dim", "block_m"),
    [(1, 2048, 32), (64, 1024, 32), (4096, 1024, 128), (32768, 1024, 128), (131072, 256, 128)],
)
def test_block_m_of_kimi(tokens: int, inter_dim: int, block_m: int) -> None:
    """Values that AITER's own function gave (see the note in docs/operations.md)."""
    shape = Shape(model_dim=7168, inter_dim=inter_dim, experts=384, topk=8)
    assert routing.heuristic_block_m(shape, tokens, 256) == block_m


@pytest.mark.parametrize(("tokens", "block_m"), [(1, 16), (32, 16), (33, 64), (5000, 64)])
def test_blockscale_has_its_own_rule(tokens: int, block_m: int) -> None:
    assert choose_block_m("per_1x128", Shape(**SHAPE), tokens, 256) == block_m
