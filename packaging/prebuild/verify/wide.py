"""Sizes of deployments: problems that cost more, for one kernel a kind of operands and stage.

The kernel is the one with the smallest tile of those that CK launches for the deployment's K, out
of all that are verified together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aiter_prebuilt.call import Shape
from prebuild.verify.problems import Batch
from prebuild.verify.subject import Facts, Subject, batches, steps_of, takes

LAYER = Shape(model_dim=7168, inter_dim=256, experts=385, topk=9)
"""Kimi-K2.5 on eight GPUs, its shared expert fused with the others."""
_FEW = 4


def wide_batches(facts: Facts) -> list[Batch]:
    """Return a problem with the layer's N and K, and one with all of its experts."""
    small = batches(facts)[0].gemm
    stage, block_m = facts.stage, facts.m
    whole = LAYER.gemm(stage, tokens=1, block_m=block_m)
    return [
        Batch.of(
            stage=stage, tokens=1, topk=2, experts=_FEW, n=whole.n, k=whole.k, block_m=block_m
        ),
        Batch.of(
            stage=stage,
            tokens=2,
            topk=LAYER.topk,
            experts=LAYER.experts,
            n=small.n,
            k=small.k,
            block_m=block_m,
        ),
    ]


def widened(subjects: Iterable[Subject]) -> list[Subject]:
    """Return the subjects, with the problems of this module for the smallest of each kind."""
    listed = list(subjects)
    chosen = {kind: _identity(min(each, key=_size)) for kind, each in _by_kind(listed).items()}
    wide = set(chosen.values())
    return [
        replace(subject, batches=(*subject.batches, *wide_batches(subject.facts)))
        if _identity(subject) in wide
        else subject
        for subject in listed
    ]


def _by_kind(subjects: Iterable[Subject]) -> dict[tuple[object, ...], list[Subject]]:
    found: dict[tuple[object, ...], list[Subject]] = {}
    for subject in subjects:
        facts = subject.facts
        whole = LAYER.gemm(facts.stage, tokens=1, block_m=facts.m)
        divides = whole.n % facts.n == 0 and not facts.split_k
        if divides and takes(facts, steps_of(facts, whole.k)):
            kind = (facts.kind, facts.preshuffled, facts.stage)
            found.setdefault(kind, []).append(subject)
    return found


def _size(subject: Subject) -> tuple[int, int, str, str]:
    return subject.facts.m, subject.facts.n, subject.symbol, subject.sha256


def _identity(subject: Subject) -> tuple[str, str]:
    return subject.symbol, subject.sha256
