"""Which kernels get the sizes of a deployment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prebuild.verify.problems import Kind, route
from prebuild.verify.subject import Subject, takes
from prebuild.verify.wide import LAYER, wide_batches, widened


def other(subject: Subject, symbol: str, **facts: object) -> Subject:
    made = replace(subject.facts, main_loop=True, tail="even", **facts)
    return Subject.of(symbol, made, data=b"", sha256=symbol)


def chosen(subjects: list[Subject]) -> set[str]:
    usual = len(subjects[0].batches)
    found = widened(subjects)
    assert [one.symbol for one in found] == [one.symbol for one in subjects]
    return {one.symbol for one in found if len(one.batches) > usual}


def test_the_smallest_kernel_of_each_kind_and_stage_gets_them(subject: Subject) -> None:
    subjects = [
        other(subject, "large", m=128, n=128),
        other(subject, "small", m=32, n=64),
        other(subject, "wider", m=32, n=128),
        other(subject, "plain", m=64, preshuffled=False),
        other(subject, "fp8", m=64, kind=Kind.FP8_ROW),
        replace(subject, symbol="down", facts=replace(subject.facts, stage=2)),
    ]
    assert chosen(subjects) == {"small", "plain", "fp8", "down"}


def test_a_kernel_that_the_deployment_does_not_reach_gets_none(subject: Subject) -> None:
    # K = 7168 is an even number of steps, with a main loop.
    assert chosen([subject]) == set()
    assert chosen([other(subject, "undivided", n=512)]) == set()


def test_the_problems_are_the_layers(subject: Subject) -> None:
    for stage in (1, 2):
        facts = replace(subject.facts, stage=stage, main_loop=True, tail="even")
        sizes, experts = wide_batches(facts)
        assert {sizes.gemm.n, sizes.gemm.k} == {LAYER.model_dim, LAYER.inter_dim}
        assert (experts.experts, experts.topk) == (385, 9)
        used = set(route(experts, 2).topk_ids.reshape(-1).tolist())
        assert 384 in used
        assert len(used) > 4
        assert np.bincount(route(sizes, 2).topk_ids.reshape(-1)).max() > 1


@pytest.mark.parametrize(
    ("main", "tail", "steps"),
    [
        (False, "odd", {1}),
        (False, "even", {2}),
        (True, "odd", {3, 5, 7}),
        (True, "even", {4, 6, 8}),
        (True, "full", {3, 4, 5, 6, 7, 8}),
    ],
)
def test_the_steps_that_take_a_kernel(
    subject: Subject, main: bool, tail: str, steps: set[int]
) -> None:
    facts = replace(subject.facts, main_loop=main, tail=tail)
    assert {count for count in range(1, 9) if takes(facts, count)} == steps
