from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiter_prebuilt.choice import dispatch
from aiter_prebuilt.wheel.manifest import Reach
from tests.unit.aiter_prebuilt import samples


@pytest.mark.parametrize(
    ("tokens", "padded"),
    [(1, 1), (2, 2), (3, 4), (1000, 1024), (16385, 32768), (32767, 32768), (32768, 32768),
     (131071, 32768), (131072, 131072), (10**6, 131072)],
)  # fmt: skip
def test_token_tiers(tokens: int, padded: int) -> None:
    assert dispatch.padded_tokens(tokens) == padded


@pytest.mark.parametrize("tokens", [0, -1])
def test_no_tokens(tokens: int) -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        dispatch.padded_tokens(tokens)


@pytest.mark.parametrize(
    ("tokens", "inter_dim", "block_m"),
    [(1, 2048, 32), (64, 1024, 32), (4096, 1024, 128), (32768, 1024, 128), (131072, 256, 128)],
)
def test_block_m_of_kimi(tokens: int, inter_dim: int, block_m: int) -> None:
    """Values that AITER's own function gave (see the note in docs/operations.md)."""
    assert dispatch.heuristic_block_m(tokens, 8, 384, inter_dim) == block_m


@given(st.integers(1, 10**6), st.integers(1, 32), st.integers(1, 1024), st.integers(1, 10**5))
def test_block_m_is_always_one_of_three(
    tokens: int, topk: int, experts: int, inter_dim: int
) -> None:
    assert dispatch.heuristic_block_m(tokens, topk, experts, inter_dim) in dispatch.BLOCK_MS


@pytest.mark.parametrize(("tokens", "block_m"), [(1, 16), (32, 16), (33, 64), (5000, 64)])
def test_blockscale_has_its_own_rule(tokens: int, block_m: int) -> None:
    assert dispatch.choose_block_m("per_1x128", tokens, 8, 256, 2048) == block_m


def test_bounds_of_a_reach_are_inclusive() -> None:
    small = samples.instance("small", 2, reached_by=(Reach(block_m=32, inter_dim_max=256),))
    large = samples.instance("large", 2, reached_by=(Reach(block_m=32, inter_dim_min=257),))
    both = (large, small)
    assert dispatch.select_instance(both, 2, 32, 256) == small
    assert dispatch.select_instance(both, 2, 32, 257) == large
    assert dispatch.select_instance(both, 2, 64, 257) is None
    assert dispatch.select_instance(both, 1, 32, 257) is None


def test_a_known_kernel_name_wins_and_an_unknown_one_does_not_count() -> None:
    named = samples.instance("named", reached_by=())
    usual = samples.instance("usual")
    assert dispatch.select_instance((usual, named), 1, 32, 100, "named") == named
    assert dispatch.select_instance((usual, named), 1, 32, 100, "other") == usual
    assert dispatch.select_instance((usual, named), 1, 32, 100) == usual


@pytest.mark.parametrize(
    ("k", "main_loop", "tail"),
    [(1, False, "odd"), (256, False, "odd"), (512, False, "even"), (513, True, "odd"),
     (768, True, "odd"), (1024, True, "even"), (7168, True, "even")],
)  # fmt: skip
def test_loop_of_k(k: int, main_loop: bool, tail: str) -> None:
    assert dispatch.loop_of(samples.instance(), k) == (main_loop, tail)


def test_a_kernel_that_was_not_built() -> None:
    instance = samples.instance(kernels=(samples.kernel(main_loop=True, tail="even"),))
    assert dispatch.select_kernel(instance, 7168) == instance.kernels[0]
    assert dispatch.select_kernel(instance, 7168 + 256) is None
    full = samples.instance(kernels=(samples.kernel(main_loop=True, tail="full"),))
    assert dispatch.select_kernel(full, 7168 + 256) == full.kernels[0]
