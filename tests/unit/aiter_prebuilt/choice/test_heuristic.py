"""The formulas for a batch, against a second statement of AITER's rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiter_prebuilt.call import Shape
from aiter_prebuilt.choice import heuristic
from aiter_prebuilt.choice.heuristic import choose_block_m, padded_counts, padded_tokens
from aiter_prebuilt.choice.rules import Rules, every_rules
from aiter_prebuilt.generations import load

TIERS = load().newest.tiers
SHAPE: dict[str, Any] = {"model_dim": 7168, "inter_dim": 512, "experts": 256, "topk": 8}

shapes = st.builds(
    Shape,
    model_dim=st.integers(1, 40).map(lambda n: n * 256),
    inter_dim=st.integers(1, 4096),
    experts=st.integers(8, 513),
    topk=st.integers(1, 11),
)
all_tiers = st.sampled_from([each.tiers for each in load().generations.values()])


def naive_split(padded: int, shape: Shape, cu_count: int) -> int:
    """get_ksplit of aiter/fused_moe.py, said again: every split tried from the largest."""
    tiles_n = (shape.inter_dim + 127) // 128
    busy = tiles_n * padded * shape.topk
    if padded * shape.topk > shape.experts or busy >= cu_count:
        return 0
    candidates = [
        parts
        for parts in range(2, (cu_count + busy - 1) // busy + 1)
        if shape.model_dim % parts == 0 and (shape.model_dim // parts) % 256 == 0
    ]
    return max(candidates, default=0)


@given(
    shape=shapes,
    tokens=st.integers(1, 64),
    quant=st.sampled_from(["per_1x128", "per_128x128", "per_1x32"]),
    cu_count=st.sampled_from([256, 128, 64, 32]),
)
def test_the_split_of_k(shape: Shape, tokens: int, quant: str, cu_count: int) -> None:
    padded = padded_tokens(tokens, TIERS)
    found = heuristic.split_k(quant, padded, shape, cu_count)
    assert found == naive_split(padded, shape, cu_count)
    assert heuristic.split_k("per_token", padded, shape, cu_count) == 0


def test_more_parts_than_k_has_tiles_are_not_tried() -> None:
    shape = Shape(model_dim=7168, inter_dim=512, topk=8, experts=256)
    assert heuristic.split_k("per_1x128", 1, shape, cu_count=10**18) == 7168 // 256


@given(low=st.integers(1, 140_000), more=st.integers(0, 3000), tiers=all_tiers)
def test_padded_counts_are_those_of_every_count(
    low: int, more: int, tiers: tuple[int, ...]
) -> None:
    every = {padded_tokens(tokens, tiers) for tokens in range(low, low + more + 1)}
    assert padded_counts(low, low + more, tiers) == tuple(sorted(every))


@given(tokens=st.integers(1, 10**6), tiers=all_tiers)
def test_padding_twice_is_padding_once(tokens: int, tiers: tuple[int, ...]) -> None:
    padded = padded_tokens(tokens, tiers)
    assert padded_tokens(padded, tiers) == padded


@given(shape=shapes, tokens=st.integers(1, 200_000), cu_count=st.sampled_from([256, 128, 64, 32]))
def test_block_sizes_cost_the_least(shape: Shape, tokens: int, cu_count: int) -> None:
    """get_block_size_M, said again: fewest rounds of work groups, then fewest idle CUs."""
    padded = padded_tokens(tokens, TIERS)
    costs = {}
    for block in (32, 64, 128):
        rows = padded * shape.topk + shape.experts * block - shape.topk
        groups = ((shape.inter_dim + 127) // 128) * (rows + block - 1) // block
        costs[block] = ((groups + cu_count - 1) // cu_count, cu_count - groups % cu_count)
    best = min(costs.values())
    chosen = choose_block_m("no", shape, padded, cu_count)
    assert chosen == next(block for block, cost in costs.items() if cost == best)


@pytest.mark.parametrize(
    ("tokens", "padded"),
    [(1, 1), (2, 2), (3, 4), (1000, 1024), (16385, 32768), (32767, 32768), (32768, 32768),
     (131071, 32768), (131072, 131072), (10**6, 131072)],
)  # fmt: skip
def test_token_tiers(tokens: int, padded: int) -> None:
    assert padded_tokens(tokens, TIERS) == padded


@pytest.mark.parametrize(
    ("tokens", "padded"),
    [(1, 1), (17, 32), (1023, 1024), (2047, 1024), (2048, 2048), (16383, 2048), (40000, 16384)],
)
def test_token_tiers_up_to_v0_1_11(tokens: int, padded: int) -> None:
    assert padded_tokens(tokens, load().generations["v0.1.11"].tiers) == padded


def test_a_size_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="tokens is 0"):
        padded_tokens(0, TIERS)


@pytest.mark.parametrize(
    ("tokens", "inter_dim", "block_m"),
    [(1, 2048, 32), (64, 1024, 32), (4096, 1024, 128), (32768, 1024, 128), (131072, 256, 128)],
)
def test_block_m_of_kimi(tokens: int, inter_dim: int, block_m: int) -> None:
    """Values that AITER's own function gave (see the note in docs/operations.md)."""
    shape = Shape(model_dim=7168, inter_dim=inter_dim, experts=384, topk=8)
    assert heuristic.heuristic_block_m(shape, tokens, 256) == block_m


@pytest.mark.parametrize(("padded", "block_m"), [(1, 16), (32, 16), (64, 64), (8192, 64)])
@pytest.mark.parametrize("quant", ["per_1x128", "per_128x128"])
def test_blockscale_has_its_own_rule(quant: str, padded: int, block_m: int) -> None:
    assert choose_block_m(quant, Shape(**SHAPE), padded, 256) == block_m


def rules(release: str, **changes: Any) -> Rules:
    return Rules(generation=load().generations[release], flydsl=False, cu_count=256, **changes)


@pytest.mark.parametrize(
    ("release", "quant", "parts", "k", "name", "literal", "splits"),
    [
        ("v0.1.19.post1", "per_1x128", 2, 7168, "", True, True),
        ("v0.1.19.post1", "per_1x128", 1, 7168, "", True, False),
        ("v0.1.19.post1", "per_1x128", -1, 7168, "", True, False),
        ("v0.1.19.post1", "per_1x32", 2, 7168, "", True, False),
        ("v0.1.19.post1", "per_1x128", 2, 7168, "x", True, False),
        ("v0.1.19.post1", "per_1x128", 0, 7168, "xSplitky", True, True),
        ("v0.1.18", "per_1x128", 14, 7168, "", True, True),
        ("v0.1.18", "per_1x128", 28, 7168, "", True, False),  # one K tile a part
        ("v0.1.12", "per_1x128", 2, 7168, "x", False, True),  # the name says nothing yet
        ("v0.1.12", "per_1x128", 2, 7168, "", True, False),  # AITER compares identities there
        ("v0.1.12", "per_1x128", 1, 7168, "xSplitky", False, False),
    ],
)
def test_which_calls_ask_for_the_split_module(
    release: str, quant: str, parts: int, k: int, name: str, literal: bool, splits: bool
) -> None:
    asked = rules(release, gives_1x128=literal)
    assert heuristic.takes_split_k(quant, parts, k, asked, name) == splits


def test_a_wheel_serves_every_generation_with_flydsl_and_without() -> None:
    found = list(every_rules())
    assert len(found) == 2 * len(load().generations)
    assert {(each.generation.name, each.flydsl) for each in found} == {
        (name, flydsl) for name in load().generations for flydsl in (True, False)
    }
