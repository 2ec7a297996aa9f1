"""Which back end AITER gives a MoE call that no row of its tuned tables names, on gfx950.

CK2stages is one of several: some calls go to one-stage assembly kernels, CK-Tile or FlyDSL.  The
rules are those of ``aiter/fused_moe.py`` (get_2stage_cfgs, get_ksplit, fused_moe_1stage_dict) at
``9bab8388`` and ``e4048607``; each has a name, so that a plan can say why a shape is in or out.
They hold for gated weights (w1 holds gate and up), as all recipes have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

from aiter_prebuilt.choice.dispatch import CU_COUNT_GFX950, choose_block_m, padded_tokens
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import ModuleKey

Backend = Literal["ck2stages", "one-stage", "cktile", "flydsl", "asm"]
AiterVersion = Literal["9bab8388", "e4048607"]

AITER_VERSIONS: tuple[AiterVersion, ...] = ("9bab8388", "e4048607")
"""The commits whose rules are modelled, oldest first."""

_N_TILE = 128
_K_TILE = 256
_BLOCKSCALE_TOKENS = 32
_PER_TOKEN_TOKENS = 16
_CK_WEIGHTS = ("b16", "f16", "i4", "fp4x2", "f8")
_GATED_ONE_STAGE = ("silu", "gelu")


@value_class(frozen=True, kw_only=True)
class Shape:
    """A call's sizes; ``tokens`` is the number of the batch, before AITER pads it."""

    tokens: int
    model_dim: int
    inter_dim: int
    experts: int
    topk: int


@value_class(frozen=True, kw_only=True)
class Route:
    """Where a call goes, and by which rule; the numbers are those of the CK2stages call."""

    stage1: Backend
    stage2: Backend
    rule: str
    block_m: int
    split_k: int
    """Split of K in stage 1, of which :func:`takes_split_k` makes a module."""

    def backend(self, stage: Literal[1, 2]) -> Backend:
        """Return the back end of one stage."""
        return self.stage1 if stage == 1 else self.stage2


def heuristic_route(
    features: ModuleKey, shape: Shape, *, version: AiterVersion, flydsl: bool
) -> Route:
    """Return the back ends of a call without a tuned row.

    ``features.splitk`` does not count: AITER decides it (:attr:`Route.split_k`).  ``flydsl`` says
    whether the FlyDSL package is installed.  Raises ValueError where a size is below 1.
    """
    block_m = choose_block_m(
        features.quant, shape.tokens, shape.topk, shape.experts, shape.inter_dim
    )
    padded = padded_tokens(shape.tokens)
    split = split_k(features.quant, padded, shape)
    backends, rule = _backends(features, shape, padded, split, version=version, flydsl=flydsl)
    return Route(stage1=backends[0], stage2=backends[1], rule=rule, block_m=block_m, split_k=split)


def split_k(quant: str, padded: int, shape: Shape, cu_count: int = CU_COUNT_GFX950) -> int:
    """Return AITER's split of K for few tokens (get_ksplit), 0 for none.

    The most parts that fill the compute units once and leave each a multiple of 256 of K.
    """
    groups = -(-shape.inter_dim // _N_TILE) * padded * shape.topk
    if quant not in ("per_1x128", "per_1x32") or padded * shape.topk > shape.experts:
        return 0
    if groups >= cu_count:
        return 0
    for parts in range(-(-cu_count // groups), 1, -1):
        if shape.model_dim % (parts * _K_TILE) == 0:
            return parts
    return 0


def takes_split_k(quant: str, stage: Literal[1, 2], parts: int, kernel_name: str = "") -> bool:
    """Whether a stage asks for the ``_splitk`` module: stage 1 alone.

    The name of its kernel says so where a tuned row has one, else the parts that K is split into.
    """
    if stage == 2:  # noqa: PLR2004
        return False
    if kernel_name:
        return "Splitk" in kernel_name
    return quant == "per_1x128" and parts > 1


def padded_counts(low: int, high: int) -> tuple[int, ...]:
    """Every padded token count of ``low`` to ``high`` tokens, both ends included."""
    counts = {padded_tokens(low), padded_tokens(high)}
    power = 1
    while power <= high:
        if power >= low:
            counts.add(padded_tokens(power))
        power *= 2
    return tuple(sorted(counts))


def routes(features: ModuleKey, shape: Shape, tokens: tuple[int, int]) -> Iterator[Route]:
    """Yield every route of a token range, for each AITER version, with FlyDSL and without.

    ``shape.tokens`` does not count.
    """
    for padded in padded_counts(*tokens):
        at = dataclasses.replace(shape, tokens=padded)
        for version in AITER_VERSIONS:
            for flydsl in (True, False):
                yield heuristic_route(features, at, version=version, flydsl=flydsl)


def reached_block_ms(
    features: ModuleKey, stage: Literal[1, 2], shape: Shape, tokens: tuple[int, int]
) -> tuple[int, ...]:
    """Return every block_m with which a module's stage is called by AITER's heuristic.

    The widest of the AITER versions, with FlyDSL and without: a wheel serves all of them.
    """
    found = {
        route.block_m for route in routes(features, shape, tokens) if _calls(route, features, stage)
    }
    return tuple(sorted(found))


def _calls(route: Route, features: ModuleKey, stage: Literal[1, 2]) -> bool:
    splits = takes_split_k(features.quant, stage, route.split_k)
    return route.backend(stage) == "ck2stages" and splits == features.splitk


def _backends(
    features: ModuleKey,
    shape: Shape,
    padded: int,
    split: int,
    *,
    version: AiterVersion,
    flydsl: bool,
) -> tuple[tuple[Backend, Backend], str]:
    if _one_stage(features, shape, padded):
        return ("one-stage", "one-stage"), "one-stage-assembly"
    if features.quant == "per_1x32":
        if features.activation == "swiglu":
            return ("cktile", "cktile"), "swiglu-mxfp4"
        first_stage_weights = features.routed_weight_stage == 1
        if version != "9bab8388" and flydsl and features.preshuffle and not first_stage_weights:
            return ("flydsl", "flydsl"), "mxfp4-flydsl"
        if features.preshuffle and split > 1:
            return ("cktile", "cktile"), "mxfp4-split-k"
    if features.b_dtype in _CK_WEIGHTS:
        return ("ck2stages", "ck2stages"), "ck2stages"
    return ("asm", "ck2stages"), "assembly-stage1"


def _one_stage(features: ModuleKey, shape: Shape, padded: int) -> bool:
    """Whether AITER has a one-stage assembly kernel and prefers it (fused_moe_1stage_dict)."""
    if (features.b_dtype, features.c_dtype) != ("f8", "b16"):
        return False
    weights_late = features.routed_weight_stage == 2  # noqa: PLR2004
    whole = shape.inter_dim % _N_TILE == 0
    if features.quant == "per_1x128":
        known = features.activation in _GATED_ONE_STAGE and weights_late
        return known and padded > _BLOCKSCALE_TOKENS and whole
    if features.quant == "per_token":
        known = features.activation == "silu" or (features.activation == "gelu" and weights_late)
        return known and (padded > _PER_TOKEN_TOKENS or not whole)
    return False
