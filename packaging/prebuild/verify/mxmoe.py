"""Launches of CK's ``GridwiseMoeGemmMX_BPreshuffle`` kernels: operands in memory, arguments.

The argument segment is CK's ``Argument``: a vtable pointer and a workspace pointer, ``Problem``,
the pointers, three empty element operations (CK 7.2.4, gridwise_moe_mx_gemm_bpreshuffle.hpp).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from prebuild.gfx950.launch import Launch
from prebuild.gfx950.memory import Allocation, Memory
from prebuild.verify import layouts
from prebuild.verify.problems import U8, Fp4Problem

ARGUMENT_BYTES = 200
"""Size of CK's Argument."""
_K1 = 16


@dataclass(frozen=True, kw_only=True)
class Tile:
    """The template arguments that a launch depends on."""

    block_size: int
    m: int
    n: int
    k_bytes: int


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A problem in memory."""

    sorted_ids: Allocation
    sorted_experts: Allocation
    valid: Allocation
    a: Allocation
    a_scale: Allocation
    b: Allocation
    b_scale: Allocation
    weights: Allocation
    out: Allocation


def place(memory: Memory, problem: Fp4Problem) -> Placed:
    """Put an A4W4 problem into memory; stage 1's output is undefined, stage 2's is zero."""
    shape, routing = problem.shape, problem.routing
    per_slot = shape.stage == 2  # noqa: PLR2004
    scales, shadow = layouts.sort_scales(
        problem.activation_scales, routing, per_slot=per_slot, topk=shape.topk
    )
    flat = problem.weight_scales.reshape(-1, problem.weight_scales.shape[-1])
    rows = shape.tokens if per_slot else shape.tokens * shape.topk
    placed = Placed(
        sorted_ids=memory.allocate("sorted_token_ids", _bytes(routing.sorted_ids)),
        sorted_experts=memory.allocate("sorted_expert_ids", _bytes(routing.sorted_experts)),
        valid=memory.allocate(
            "num_valid_ids", _bytes(np.array([routing.valid, shape.tokens], np.int32))
        ),
        a=memory.allocate("a", _bytes(problem.activations)),
        a_scale=memory.allocate("a_scale", _bytes(scales)),
        b=memory.allocate("w", _bytes(layouts.shuffle_weight(problem.weights))),
        b_scale=memory.allocate("w_scale", _bytes(layouts.shuffle_scale(flat))),
        weights=memory.allocate("sorted_weights", _bytes(routing.sorted_weights)),
        out=memory.allocate(
            "out", np.zeros(rows * shape.n * 2, np.uint8), writable=True, defined=per_slot
        ),
    )
    _undefine(placed.a_scale, shadow)
    return placed


def _undefine(allocation: Allocation, shadow: U8) -> None:
    allocation.shadow[: shadow.size] = shadow.reshape(-1)
    allocation.clean = not shadow.any()


def _bytes(array: np.ndarray) -> U8:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1)


def launch(symbol: str, tile: Tile, problem: Fp4Problem, placed: Placed) -> Launch:
    """Return the launch that CK's device op makes for this problem as AITER calls it.

    The strides of D are 1, 1, 0 there (gemm_moe_ck2stages_common_mxfp4.cuh at 9bab8388).
    """
    shape = problem.shape
    rows = min(shape.tokens * shape.topk * shape.block_m, problem.routing.sorted_ids.size)
    k = shape.k // 2
    m_blocks, n_blocks = -(-rows // tile.m), -(-shape.n // tile.n)
    k_steps = -(-k // tile.k_bytes)
    scale_stride = -(-shape.k // 32)
    numbers = (
        shape.tokens, shape.topk, rows, shape.n, k, k, scale_stride, k, scale_stride,
        1, 1, 0, shape.n, 1,
        m_blocks * tile.m, n_blocks * tile.n, -(-k // _K1) * _K1, k_steps * tile.k_bytes,
        k_steps * tile.k_bytes // _K1, k_steps * tile.k_bytes // _K1, m_blocks, n_blocks,
    )  # fmt: skip
    pointers = (
        placed.sorted_ids.base, placed.sorted_experts.base, placed.valid.base, placed.a.base,
        placed.a_scale.base, placed.b.base, placed.b_scale.base,
        0, 0, placed.weights.base, placed.out.base,
    )  # fmt: skip
    kernarg = bytes(16) + struct.pack("<22i", *numbers) + struct.pack("<11Q", *pointers) + bytes(8)
    return Launch(
        symbol=symbol,
        grid=(n_blocks, m_blocks, 1),
        block=(tile.block_size, 1, 1),
        kernarg=kernarg,
    )
