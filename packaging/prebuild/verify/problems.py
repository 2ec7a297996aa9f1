"""Small MoE problems: routing with every awkward case, and operands in their logical layout.

Nothing here knows how a kernel wants its operands: that is ``layouts``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

SCALE_BLOCK = 32
"""Values of K under one e8m0 scale (OCP MX)."""
_SLOT_SHIFT = 24


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The numbers of one problem."""

    stage: int
    """1: gate and up projection with activation; 2: down projection with routed weights."""
    tokens: int
    topk: int
    experts: int
    n: int
    """Columns of the output."""
    k: int
    """Values of the contraction."""
    block_m: int

    def name(self) -> str:
        """Return a short name for reports."""
        return (
            f"stage{self.stage} tokens={self.tokens} topk={self.topk} experts={self.experts}"
            f" n={self.n} k={self.k} block_m={self.block_m}"
        )


@dataclass(frozen=True, kw_only=True)
class Routing:
    """Which expert each token goes to, and AITER's sorted form of it (``moe_sorting``)."""

    topk_ids: I32
    """(tokens, topk) expert of each slot."""
    weights: F32
    """(tokens, topk)."""
    sorted_ids: I32
    """Rows sorted by expert, ``slot << 24 | token``; a padding row is ``topk << 24 | tokens``."""
    sorted_weights: F32
    sorted_experts: I32
    """Expert of each block of block_m rows."""
    valid: int
    """Rows of ``sorted_ids`` that mean something, a multiple of block_m (num_valid_ids[0])."""


@dataclass(frozen=True, kw_only=True)
class Fp4Problem:
    """An A4W4 problem: two fp4 codes a byte (low nibble first) and e8m0 scale bytes."""

    shape: Shape
    routing: Routing
    activations: U8
    """(rows, k/2): a row a token in stage 1, a row a (token, slot) in stage 2."""
    activation_scales: U8
    """(rows, k/32)."""
    weights: U8
    """(experts, rows of a weight, k/2); stage 1: n gate rows, then n up rows."""
    weight_scales: U8
    """(experts, rows of a weight, k/32)."""


def route(shape: Shape, seed: int) -> Routing:
    """Return a routing with an expert that takes everybody, an empty one and duplicates.

    Slot 0 of every token is expert 0 (so that it fills more than one block and pads the last);
    expert 1 stays empty; the other slots spread over the rest, and every seventh token names
    expert 0 in all of its slots.
    """
    random = np.random.default_rng(seed)
    ids = random.integers(2, shape.experts, (shape.tokens, shape.topk)).astype(np.int32)
    ids[:, 0] = 0
    ids[::7] = 0
    weights = random.uniform(0.05, 1.0, (shape.tokens, shape.topk)).astype(np.float32)
    return sort(shape, ids, weights)


def sort(shape: Shape, topk_ids: I32, weights: F32) -> Routing:
    """Return the routing in AITER's sorted form; what is beyond ``valid`` holds padding rows."""
    block = shape.block_m
    padding = shape.topk << _SLOT_SHIFT | shape.tokens
    size = topk_ids.size + shape.experts * block - shape.topk
    ids = np.full(-(-size // block) * block, padding, np.int32)
    factors = np.zeros(ids.size, np.float32)
    experts: list[int] = []
    start = 0
    for expert in range(shape.experts):
        tokens, slots = np.nonzero(topk_ids == expert)
        ids[start : start + tokens.size] = slots << _SLOT_SHIFT | tokens
        factors[start : start + tokens.size] = weights[tokens, slots]
        blocks = -(-tokens.size // block)
        experts += [expert] * blocks
        start += blocks * block
    return Routing(
        topk_ids=topk_ids,
        weights=weights,
        sorted_ids=ids[:size],
        sorted_weights=factors[:size],
        sorted_experts=np.array(experts, np.int32),
        valid=start,
    )


def fp4_problem(shape: Shape, seed: int = 1) -> Fp4Problem:
    """Return random codes of every fp4 value, and scales for sums of order two.

    The mean square of an fp4 value is 8.6, that of a factor 2**d with d from -3 to 3 is 12.2: a
    sum of k products has a standard deviation of 2 with factors around sqrt(2 / (104 sqrt(k))).
    """
    random = np.random.default_rng(seed)
    rows = shape.tokens if shape.stage == 1 else shape.tokens * shape.topk
    weight_rows = 2 * shape.n if shape.stage == 1 else shape.n
    middle = 127 - round(np.log2(52 * np.sqrt(shape.k)) / 2)

    def scales(*size: int) -> U8:
        powers = random.integers(-3, 4, (*size, shape.k // SCALE_BLOCK))
        codes: U8 = (middle + powers).astype(np.uint8)
        return codes

    def codes(*size: int) -> U8:
        return random.integers(0, 256, (*size, shape.k // 2), dtype=np.uint8)

    return Fp4Problem(
        shape=shape,
        routing=route(shape, seed + 1),
        activations=codes(rows),
        activation_scales=scales(rows),
        weights=codes(shape.experts, weight_rows),
        weight_scales=scales(shape.experts, weight_rows),
    )
