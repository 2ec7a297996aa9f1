"""AITER's choice for a call, as pure functions: token tier, block_m, instance and kernel.

A leaf: it knows the manifest's types and nothing else, so that the planner, the guard and
``aiter-prebuilt explain`` all ask the same code.  The formulas are AITER's at ``9bab8388`` and
``e4048607`` (``aiter/fused_moe.py``: get_padded_M, get_block_size_M, get_2stage_cfgs); a row of
AITER's tuned tables comes before them and can name another block_m or kernel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from aiter_prebuilt.wheel.manifest import Instance, Kernel

CU_COUNT_GFX950 = 256
"""Compute units of an MI350X, AITER's ``cu_num``."""

BLOCK_MS = (32, 64, 128)
"""The values that AITER's heuristic chooses from."""

_N_TILE = 128
TIERS = (32768, 131072)
"""Token counts from which on AITER rounds down instead of up."""


def padded_tokens(tokens: int) -> int:
    """Return the token count that AITER looks its choice up with: a power of two, then tiers."""
    if tokens < 1:
        raise ValueError(f"tokens is {tokens}, expected 1 or more")
    if tokens < TIERS[0]:
        return 1 << (tokens - 1).bit_length()
    return max(tier for tier in TIERS if tokens >= tier)


def heuristic_block_m(
    tokens: int, topk: int, experts: int, inter_dim: int, cu_count: int = CU_COUNT_GFX950
) -> int:
    """Return the block_m with the fewest rounds of work groups, then the fewest idle CUs."""
    n_tiles = -(-inter_dim // _N_TILE)

    def cost(block_m: int) -> tuple[int, int]:
        rows = tokens * topk + experts * block_m - topk
        groups = n_tiles * (rows + block_m - 1) // block_m
        return -(-groups // cu_count), cu_count - groups % cu_count

    return min(BLOCK_MS, key=cost)


def choose_block_m(quant: str, tokens: int, topk: int, experts: int, inter_dim: int) -> int:
    """Return the block_m that AITER uses for a shape that no row of its tuned tables names.

    ``tokens`` is the number of a batch; AITER pads it first (:func:`padded_tokens`).
    """
    padded = padded_tokens(tokens)
    if quant == "per_1x128":
        return 64 if padded > 32 else 16  # noqa: PLR2004  AITER's limit for blockscale
    return heuristic_block_m(padded, topk, experts, inter_dim)


def select_instance(
    instances: Iterable[Instance],
    stage: Literal[1, 2],
    block_m: int,
    inter_dim: int,
    kernel_name: str = "",
) -> Instance | None:
    """Return the instance that a call takes, None where none of them covers it.

    A ``kernel_name`` that is known wins; an unknown or empty one leaves it to the heuristic.
    """
    own = [instance for instance in instances if instance.stage == stage]
    for instance in own:
        if kernel_name and instance.name == kernel_name:
            return instance
    for instance in own:
        if any(reach.covers(block_m, inter_dim) for reach in instance.reached_by):
            return instance
    return None


def loop_of(instance: Instance, k: int) -> tuple[bool, Literal["odd", "even"]]:
    """Return (has main loop, tail) of the kernel that a call with ``k`` elements of K takes."""
    if k < 1:
        raise ValueError(f"K is {k}, expected 1 or more")
    steps = -(-k // instance.k_per_block)
    return steps > instance.prefetch_stages, "odd" if steps % 2 else "even"


def select_kernel(instance: Instance, k: int) -> Kernel | None:
    """Return the instance's kernel for ``k`` elements of K, None where it was not built."""
    main_loop, tail = loop_of(instance, k)
    for kernel in instance.kernels:
        if kernel.main_loop == main_loop and kernel.tail in (tail, "full"):
            return kernel
    return None
