"""AITER's formulas for a batch: padding, block_m, split of K, and when one kernel does both stages.

The functions are those of ``aiter/fused_moe.py`` (get_padded_M, get_block_size_M, get_ksplit,
ck_moe_stage1, fused_moe_1stage_dict); what differs between releases comes as a
:class:`~aiter_prebuilt.generations.Generation`.
"""

from __future__ import annotations

from aiter_prebuilt.call import ModuleKey, Shape, Stage
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.generations import Generation
from aiter_prebuilt.kinds import QUANTISATIONS

BLOCK_MS = (32, 64, 128)
"""The values that AITER's heuristic chooses from."""

_N_TILE = 128
_K_TILE = 256
_BLOCKSCALE_TOKENS = 32
_PER_TOKEN_TOKENS = 16
_ODD_INTER_DIM = 192
LATE: Stage = 2
"""The stage that multiplies by the routed weights, where stage 1 does not."""


def remapped(quant: str) -> str:
    """Return the quantisation as AITER's rules know it: per_128x128 is per_1x128."""
    known = QUANTISATIONS.get(quant)
    return known.module if known else quant


def padded_tokens(tokens: int, tiers: tuple[int, ...]) -> int:
    """Return the token count that AITER looks its choice up with: a power of two, then tiers."""
    if tokens < 1:
        raise ValueError(f"tokens is {tokens}, expected 1 or more")
    if tokens < tiers[0]:
        return 1 << (tokens - 1).bit_length()
    return max(tier for tier in tiers if tokens >= tier)


def padded_counts(low: int, high: int, tiers: tuple[int, ...]) -> tuple[int, ...]:
    """Every padded token count of ``low`` to ``high`` tokens, both ends included."""
    counts = {padded_tokens(low, tiers), padded_tokens(high, tiers)}
    power = 1
    while power <= high:
        if power >= low:
            counts.add(padded_tokens(power, tiers))
        power *= 2
    return tuple(sorted(counts))


def heuristic_block_m(shape: Shape, tokens: int, cu_count: int) -> int:
    """Return the block_m with the fewest rounds of work groups, then the fewest idle CUs."""
    n_tiles = -(-shape.inter_dim // _N_TILE)

    def cost(block_m: int) -> tuple[int, int]:
        groups = n_tiles * (shape.sorted_rows(tokens, block_m) + block_m - 1) // block_m
        return -(-groups // cu_count), cu_count - groups % cu_count

    return min(BLOCK_MS, key=cost)


def choose_block_m(quant: str, shape: Shape, padded: int, cu_count: int) -> int:
    """Return the block_m for a padded number of tokens that no row names."""
    if remapped(quant) == "per_1x128":
        return 64 if padded > _BLOCKSCALE_TOKENS else 16
    return heuristic_block_m(shape, padded, cu_count)


def split_k(quant: str, padded: int, shape: Shape, cu_count: int) -> int:
    """Return AITER's split of K for few tokens (get_ksplit), 0 for none.

    The most parts that fill the compute units once and leave each a multiple of 256 of K.
    """
    groups = -(-shape.inter_dim // _N_TILE) * padded * shape.topk
    if remapped(quant) not in ("per_1x128", "per_1x32") or padded * shape.topk > shape.experts:
        return 0
    if groups >= cu_count:
        return 0
    most = min(-(-cu_count // groups), shape.model_dim // _K_TILE)  # of more none divides
    for parts in range(most, 1, -1):
        if shape.model_dim % (parts * _K_TILE) == 0:
            return parts
    return 0


def takes_split_k(quant: str, parts: int, k: int, rules: Rules, name: str = "") -> bool:
    """Whether stage 1 asks for the ``_splitk`` module, which block scales alone have.

    The name of its kernel says so where a tuned row has one (in most generations), else the parts
    that K is split into.
    """
    generation = rules.generation
    if name and generation.split_k_by_name:
        return "Splitk" in name
    if remapped(quant) != "per_1x128" or parts <= 1:
        return False
    if generation.split_k == "given-128x128":
        return not rules.gives_1x128
    return generation.split_k == "any" or k // parts // _K_TILE > 1


def one_stage(features: ModuleKey, shape: Shape, padded: int, generation: Generation) -> bool:
    """Whether AITER has a one-stage assembly kernel and prefers it (fused_moe_1stage_dict)."""
    if (features.a_dtype, features.b_dtype, features.c_dtype) != ("f8", "f8", "b16"):
        return False
    late, gelu = features.routed_weight_stage == LATE, features.activation == "gelu"
    if not gelu and features.activation != "silu":
        return False
    if remapped(features.quant) == "per_1x128":
        known = late and (generation.one_stage_gelu or not gelu)
        whole = shape.inter_dim % generation.one_stage_blockscale == 0
        return known and padded > _BLOCKSCALE_TOKENS and whole
    if features.quant != "per_token" or (gelu and not late):
        return False
    many = padded > _PER_TOKEN_TOKENS
    if generation.one_stage_fp8 == "few-or-odd":
        return many or shape.inter_dim % _N_TILE != 0
    if not late:
        return many
    return generation.one_stage_fp8 == "inter-192" and shape.inter_dim == _ODD_INTER_DIM
