"""Which back end AITER gives a MoE call that no row of its tuned tables names, on the target GPU.

CK2stages is one of several: some calls go to one-stage assembly kernels, CK-Tile or FlyDSL.  The
rules are those of ``aiter/fused_moe.py`` (get_padded_M, get_block_size_M, get_2stage_cfgs,
get_ksplit, fused_moe_1stage_dict) at ``9bab8388`` and ``e4048607``; each has a name, so that a plan
can say why a shape is in or out.  They hold for gated weights (w1 holds gate and up), as all
recipes have.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Literal

from aiter_prebuilt import target
from aiter_prebuilt.call import STAGES, Call, ModuleKey, Shape, Stage
from aiter_prebuilt.values import value_class

Backend = Literal["ck2stages", "one-stage", "cktile", "flydsl", "asm"]
AiterVersion = Literal["9bab8388", "e4048607"]

AITER_VERSIONS: tuple[AiterVersion, ...] = ("9bab8388", "e4048607")
"""The commits whose rules are modelled, oldest first."""

BLOCK_MS = (32, 64, 128)
"""The values that AITER's heuristic chooses from."""
TIERS = (32768, 131072)
"""Token counts from which on AITER rounds down instead of up."""

_N_TILE = 128
_K_TILE = 256
_BLOCKSCALE_TOKENS = 32
_PER_TOKEN_TOKENS = 16
_CK_WEIGHTS = ("b16", "f16", "i4", "fp4x2", "f8")
_GATED_ONE_STAGE = ("silu", "gelu")


@value_class(frozen=True, kw_only=True)
class Rules:
    """Whose rules answer, and what of the host they read: the one place for a new generation."""

    version: AiterVersion
    flydsl: bool
    """Whether the FlyDSL package is installed."""
    cu_count: int
    """Compute units that the process sees, AITER's ``cu_num``."""

    @property
    def prefers_flydsl(self) -> bool:
        """Whether FlyDSL, where it is installed, comes before CK2stages for MXFP4."""
        return self.flydsl and self.version != "9bab8388"


@value_class(frozen=True, kw_only=True)
class Route:
    """Where the stages of a MoE layer go, and by which rule."""

    backends: tuple[Backend, Backend]
    rule: str
    calls: tuple[Call, Call]
    """What CK2stages is asked for, where it is the back end."""
    split_k: int
    """Split of K in stage 1, of which :func:`takes_split_k` makes a module."""

    def backend(self, stage: Stage) -> Backend:
        """Return the back end of one stage."""
        return self.backends[stage - 1]

    @property
    def asked(self) -> tuple[Call, ...]:
        """The calls that come to CK2stages."""
        return tuple(call for call in self.calls if self.backend(call.stage) == "ck2stages")


def every_rules() -> Iterator[Rules]:
    """Yield all that a wheel has to serve: each AITER version, with FlyDSL and without."""
    for version, flydsl in itertools.product(AITER_VERSIONS, (True, False)):
        yield Rules(version=version, flydsl=flydsl, cu_count=target.load().cu_count)


def padded_tokens(tokens: int) -> int:
    """Return the token count that AITER looks its choice up with: a power of two, then tiers."""
    if tokens < 1:
        raise ValueError(f"tokens is {tokens}, expected 1 or more")
    if tokens < TIERS[0]:
        return 1 << (tokens - 1).bit_length()
    return max(tier for tier in TIERS if tokens >= tier)


def heuristic_block_m(shape: Shape, tokens: int, cu_count: int) -> int:
    """Return the block_m with the fewest rounds of work groups, then the fewest idle CUs."""
    n_tiles = -(-shape.inter_dim // _N_TILE)

    def cost(block_m: int) -> tuple[int, int]:
        groups = n_tiles * (shape.sorted_rows(tokens, block_m) + block_m - 1) // block_m
        return -(-groups // cu_count), cu_count - groups % cu_count

    return min(BLOCK_MS, key=cost)


def choose_block_m(quant: str, shape: Shape, tokens: int, cu_count: int) -> int:
    """Return the block_m that AITER uses for a shape that no row of its tuned tables names.

    ``tokens`` is the number of a batch; AITER pads it first (:func:`padded_tokens`).
    """
    padded = padded_tokens(tokens)
    if quant == "per_1x128":
        return 64 if padded > _BLOCKSCALE_TOKENS else 16
    return heuristic_block_m(shape, padded, cu_count)


def heuristic_route(features: ModuleKey, shape: Shape, tokens: int, rules: Rules) -> Route:
    """Return the back ends of a batch without a tuned row.

    ``features.splitk`` does not count: AITER decides it (:attr:`Route.split_k`).  Raises ValueError
    where ``tokens`` is below 1.
    """
    block_m = choose_block_m(features.quant, shape, tokens, rules.cu_count)
    padded = padded_tokens(tokens)
    split = split_k(features.quant, padded, shape, rules.cu_count)
    backends, rule = _backends(features, shape, padded, split, rules)
    first, second = (
        Call(
            features=with_split_k(features, takes_split_k(features.quant, stage, split)),
            shape=shape,
            stage=stage,
            tokens=tokens,
            block_m=block_m,
        )
        for stage in STAGES
    )
    return Route(backends=backends, rule=rule, calls=(first, second), split_k=split)


def split_k(quant: str, padded: int, shape: Shape, cu_count: int) -> int:
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


def takes_split_k(quant: str, stage: Stage, parts: int, kernel_name: str = "") -> bool:
    """Whether a stage asks for the ``_splitk`` module: stage 1 alone.

    The name of its kernel says so where a tuned row has one, else the parts that K is split into.
    """
    if stage == 2:  # noqa: PLR2004
        return False
    if kernel_name:
        return "Splitk" in kernel_name
    return quant == "per_1x128" and parts > 1


def with_split_k(features: ModuleKey, splits: bool) -> ModuleKey:
    """Return the features with split K or without."""
    return dataclasses.replace(features, splitk=splits)


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
    """Yield every route of a token range, under every rules."""
    for padded in padded_counts(*tokens):
        for rules in every_rules():
            yield heuristic_route(features, shape, padded, rules)


def heuristic_calls(features: ModuleKey, shape: Shape, tokens: tuple[int, int]) -> tuple[Call, ...]:
    """Return what AITER's heuristic asks of CK2stages for a shape within a range of tokens.

    The widest of the AITER versions, with FlyDSL and without: a wheel serves all of them.
    ``features.splitk`` does not count; of calls that differ in the number of tokens alone the one
    with the fewest is given.
    """
    found: dict[tuple[ModuleKey, Stage, int], Call] = {}
    for route in routes(features, shape, tokens):
        for call in route.asked:
            found.setdefault((call.features, call.stage, call.block_m), call)
    return tuple(found.values())


def _backends(
    features: ModuleKey, shape: Shape, padded: int, split: int, rules: Rules
) -> tuple[tuple[Backend, Backend], str]:
    if _one_stage(features, shape, padded):
        return ("one-stage", "one-stage"), "one-stage-assembly"
    if features.quant == "per_1x32":
        if features.activation == "swiglu":
            return ("cktile", "cktile"), "swiglu-mxfp4"
        first_stage_weights = features.routed_weight_stage == 1
        if rules.prefers_flydsl and features.preshuffle and not first_stage_weights:
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
