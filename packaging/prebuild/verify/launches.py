"""Launches of CK's MoE kernels: operands in memory, and the argument segment.

The segment is CK's ``Argument`` (CK 7.2.4, ``gridwise_moe_*.hpp``): a vtable pointer and a
workspace pointer, ``Problem`` (u32), the pointers, three empty element operations.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from prebuild.gfx950.launch import Launch
from prebuild.gfx950.memory import Allocation, Memory
from prebuild.verify import layouts
from prebuild.verify.problems import U8, Batch, Kind, Problem, Scales

HEAD = 16
"""Bytes before ``Problem``: two host pointers that no kernel reads."""
_TAIL = 8
_MX = "mx"
_PLAIN = "plain"
_BLOCK = "block"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Names of an argument segment's fields, in order."""

    numbers: tuple[str, ...]
    pointers: tuple[str, ...]

    @property
    def format(self) -> str:
        """Return the segment for :mod:`struct`, after its head."""
        return f"<{len(self.numbers)}i{len(self.pointers)}Q"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of each field."""
        return self.numbers + self.pointers

    @property
    def size(self) -> int:
        """Return the bytes of the whole segment."""
        return HEAD + struct.calcsize(self.format) + _TAIL


_SORTED = ("p_sorted_token_ids", "p_sorted_expert_ids", "p_max_token_id")
_DERIVED = (
    "StrideC", "KBatch", "MPadded", "NPadded", "KRead", "KPadded", "AK0", "BK0", "MBlock", "NBlock",
)  # fmt: skip
_SIZES = ("NumTokens", "TopK", "M", "N", "K")
_LAYOUTS = {
    _MX: Layout(
        numbers=(
            *_SIZES, "StrideA", "StrideScaleA", "StrideB", "StrideScaleB",
            "StrideD0", "StrideD1", "StrideD2", *_DERIVED,
        ),
        pointers=(*_SORTED, "p_a", "p_a_scale", "p_b", "p_b_scale", "p_d0", "p_d1", "p_d2", "p_c"),
    ),
    _PLAIN: Layout(
        numbers=(*_SIZES, "StrideA", "StrideB", "StrideD0", "StrideD1", "StrideD2", *_DERIVED),
        pointers=(*_SORTED, "p_a", "p_b", "p_d0", "p_d1", "p_d2", "p_c"),
    ),
    _BLOCK: Layout(
        numbers=(*_SIZES, "StrideA", "StrideB", "StrideD0", *_DERIVED),
        pointers=(*_SORTED, "p_a", "p_b", "p_d0", "p_c", "p_a_scale", "p_b_scale"),
    ),
}  # fmt: skip


def layout_of(kind: Kind) -> Layout:
    """Return the argument segment of a kind's kernels."""
    if kind is Kind.MX_FP4:
        return _LAYOUTS[_MX]
    return _LAYOUTS[_BLOCK if kind is Kind.FP8_BLOCK else _PLAIN]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """The template arguments that a launch depends on."""

    block_size: int
    m: int
    n: int
    k: int
    """Stored elements of one step (bytes for fp4)."""
    k1: int
    """Stored elements of one vector of A."""
    bk1: int
    """The same of B."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A problem in memory."""

    sorted_ids: Allocation
    sorted_experts: Allocation
    valid: Allocation
    a: Allocation
    a_scale: Allocation | None
    b: Allocation
    b_scale: Allocation | None
    weights: Allocation
    out: Allocation


def place(memory: Memory, problem: Problem, *, preshuffled: bool = True) -> Placed:
    """Put a problem into memory; stage 1's output is undefined, that of sums is zero.

    Stage 2 finds zeros, and so does a split K: CK's invoker clears the rows that it adds to.
    """
    batch, routing = problem.batch, problem.routing
    down, split = batch.stage != 1, batch.parts > 1
    rows = batch.tokens if down else batch.tokens * batch.topk
    weights = problem.weights
    if problem.kind is Kind.INT4_ROW:
        weights = layouts.shuffle_int4(weights)
    elif preshuffled:
        weights = layouts.shuffle_weight(weights)
    valid = np.array([routing.valid, batch.tokens], np.int32)
    return Placed(
        sorted_ids=memory.allocate("sorted_token_ids", _bytes(routing.sorted_ids)),
        sorted_experts=memory.allocate("sorted_expert_ids", _bytes(routing.sorted_experts)),
        valid=memory.allocate("num_valid_ids", _bytes(valid)),
        a=memory.allocate("a", _bytes(problem.activations)),
        a_scale=_activation_scales(memory, problem),
        b=memory.allocate("w", _bytes(weights)),
        b_scale=_weight_scales(memory, problem),
        weights=memory.allocate("sorted_weights", _bytes(routing.sorted_weights)),
        out=memory.allocate(
            "out",
            np.zeros(rows * batch.columns * (4 if split else 2), np.uint8),
            writable=True,
            defined=down or split,
        ),
    )


def cleared(problem: Problem, placed: Placed) -> tuple[int, int, int] | None:
    """Return what the caller of a kernel has to clear before it: (address, bytes, value)."""
    return (placed.out.base, placed.out.size, 0) if problem.batch.parts > 1 else None


def _activation_scales(memory: Memory, problem: Problem) -> Allocation | None:
    scales, batch = problem.activation_scales, problem.batch
    if scales is None:
        return None
    if problem.kind is not Kind.MX_FP4:
        return memory.allocate("a_scale", _bytes(scales))
    data, shadow = layouts.sort_scales(
        scales, problem.routing, per_slot=batch.stage != 1, topk=batch.topk
    )
    found = memory.allocate("a_scale", _bytes(data))
    found.shadow[: shadow.size] = shadow.reshape(-1)
    found.clean = not shadow.any()
    return found


def _weight_scales(memory: Memory, problem: Problem) -> Allocation | None:
    scales = problem.weight_scales
    if scales is None:
        return None
    if problem.kind is Kind.MX_FP4:
        scales = layouts.shuffle_scale(scales.reshape(-1, scales.shape[-1]))
    return memory.allocate("w_scale", _bytes(scales))


def _bytes(array: Scales) -> U8:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1)


def launch(
    symbol: str, tile: Tile, kind: Kind, batch: Batch, placed: Placed, *, routed_weight: bool
) -> Launch:
    """Return the launch that CK's device op makes for this batch as AITER calls it."""
    layout = layout_of(kind)
    rows = batch.gemm.m
    numbers = _numbers(tile, kind, batch)
    pointers = _pointers(kind, placed, routed_weight=routed_weight)
    body = struct.pack(
        layout.format,
        *(numbers[name] for name in layout.numbers),
        *(pointers[name] for name in layout.pointers),
    )
    return Launch(
        symbol=symbol,
        grid=(-(-batch.columns // tile.n), -(-rows // tile.m), batch.parts),
        block=(tile.block_size, 1, 1),
        kernarg=bytes(HEAD) + body + bytes(_TAIL),
    )


def _numbers(tile: Tile, kind: Kind, batch: Batch) -> dict[str, int]:
    """``Problem``; strides of D as AITER gives them (gemm_moe_ck2stages_common*.cuh, 9bab8388).

    KBatch is no number of parts but that of the steps in a part; with more than one K as it is read
    and padded is that of a part (rocm-libraries 498ed361, gridwise_moe_gemm_blockscale.hpp).
    """
    gemm = batch.gemm
    k = gemm.k // 2 if kind is Kind.MX_FP4 else gemm.k
    m_blocks, n_blocks = -(-gemm.m // tile.m), -(-gemm.n // tile.n)
    steps = k // tile.k // batch.parts if batch.parts > 1 else 1
    part = k if steps == 1 else steps * tile.k
    padded, vector = -(-part // tile.k) * tile.k, math.lcm(tile.k1, tile.bk1)
    scale_stride = -(-gemm.k // 32)
    stride_d = 0 if kind in (Kind.FP8_TENSOR, Kind.FP8_BLOCK) else 1
    return {
        "NumTokens": batch.tokens, "TopK": batch.topk, "M": gemm.m, "N": gemm.n, "K": k,
        "StrideA": k, "StrideScaleA": scale_stride, "StrideB": k, "StrideScaleB": scale_stride,
        "StrideD0": stride_d, "StrideD1": stride_d, "StrideD2": 0,
        "StrideC": batch.columns, "KBatch": steps,
        "MPadded": m_blocks * tile.m, "NPadded": n_blocks * tile.n,
        "KRead": -(-part // vector) * vector, "KPadded": padded,
        "AK0": padded // tile.k1, "BK0": padded // tile.bk1, "MBlock": m_blocks, "NBlock": n_blocks,
    }  # fmt: skip


def _pointers(kind: Kind, placed: Placed, *, routed_weight: bool) -> dict[str, int]:
    def base(allocation: Allocation | None) -> int:
        return allocation.base if allocation is not None else 0

    plain = kind not in (Kind.MX_FP4, Kind.FP8_BLOCK)
    weights = placed.weights.base if routed_weight else 0
    first = base(placed.a_scale) if plain else 0
    return {
        "p_sorted_token_ids": placed.sorted_ids.base,
        "p_sorted_expert_ids": placed.sorted_experts.base,
        "p_max_token_id": placed.valid.base,
        "p_a": placed.a.base,
        "p_b": placed.b.base,
        "p_a_scale": base(placed.a_scale),
        "p_b_scale": base(placed.b_scale),
        "p_d0": weights if kind is Kind.FP8_BLOCK else first,
        "p_d1": base(placed.b_scale) if plain else 0,
        "p_d2": weights,
        "p_c": placed.out.base,
    }
