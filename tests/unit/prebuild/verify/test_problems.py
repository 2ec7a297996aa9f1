"""Routing in AITER's sorted form."""

from __future__ import annotations

import numpy as np

from prebuild.verify.problems import Batch, Kind, make_problem, route

BATCH = Batch.of(stage=2, tokens=40, topk=3, experts=5, n=64, k=512, block_m=32)


def test_every_slot_appears_once_with_its_expert_and_weight() -> None:
    routing = route(BATCH, 7)
    seen = set()
    for row in range(routing.valid):
        entry = int(routing.sorted_ids[row])
        token, slot = entry & 0xFFFFFF, entry >> 24
        if token == BATCH.tokens:
            assert routing.sorted_weights[row] == 0
            continue
        assert routing.topk_ids[token, slot] == routing.sorted_experts[row // 32]
        assert routing.sorted_weights[row] == routing.weights[token, slot]
        seen.add((token, slot))
    assert len(seen) == 40 * 3


def test_the_awkward_cases_are_there() -> None:
    routing = route(BATCH, 7)
    counts = np.bincount(routing.topk_ids.reshape(-1), minlength=5)
    assert counts[0] > 32  # more than a block
    assert counts[0] % 32 != 0  # whose last one is padded
    assert counts[1] == 0  # an empty expert
    assert any(len(set(row)) < 3 for row in routing.topk_ids.tolist())  # an expert named twice
    assert routing.valid < routing.sorted_ids.size  # rows that mean nothing
    assert len(set(counts.tolist())) > 2  # uneven


def test_values_are_of_order_one_and_of_every_code() -> None:
    problem = make_problem(Kind.MX_FP4, BATCH)
    codes = np.concatenate([problem.activations & 15, problem.activations >> 4], axis=None)
    assert set(codes.tolist()) == set(range(16))
    assert problem.activations.shape == (120, 256)
    assert problem.weights.shape == (5, 64, 256)
    assert problem.weight_scales.shape == (5, 64, 16)
