"""Small MoE problems: routing with every awkward case, and operands in their logical layout.

Nothing here knows how a kernel wants its operands: that is ``layouts``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from aiter_prebuilt.call import Gemm, Shape, Stage
from prebuild.verify import extremes

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

Scales = npt.NDArray[Any]
"""e8m0 bytes or float32."""

SCALE_BLOCK = 32
"""Values of K under one e8m0 scale (OCP MX)."""
WIDE_BLOCK = 128
"""Side of a block under one scale of a weight (per_1x128)."""
E4M3_NAN = 0x7F
INT4_RMS = 4.6
"""Root mean square of the sixteen int4 values."""
_SLOT_SHIFT = 24


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The numbers of one problem: a few tokens in one stage of a small layer."""

    layer: Shape
    stage: Stage
    tokens: int
    block_m: int
    parts: int = 1
    """Parts that K is split into; with more than one, stage 1 gives the sums of gate and up."""
    extreme: bool = False
    """Whether values are those of :mod:`prebuild.verify.extremes`."""

    @classmethod
    def of(
        cls,
        *,
        stage: Stage,
        tokens: int,
        topk: int,
        experts: int,
        n: int,
        k: int,
        block_m: int,
        parts: int = 1,
    ) -> Batch:
        """Return the batch whose GEMM has ``n`` columns and sums ``k`` values."""
        model_dim, inter_dim = (k, n) if stage == 1 else (n, k)
        layer = Shape(model_dim=model_dim, inter_dim=inter_dim, experts=experts, topk=topk)
        return cls(layer=layer, stage=stage, tokens=tokens, block_m=block_m, parts=parts)

    @classmethod
    def of_extremes(cls, *, stage: Stage, n: int, k: int, block_m: int, parts: int = 1) -> Batch:
        """Return the batch of one expert's block of rows with extreme values."""
        made = cls.of(
            stage=stage, tokens=extremes.ROWS, topk=1, experts=4, n=n, k=k, block_m=block_m
        )
        return replace(made, extreme=True, parts=parts)

    @property
    def gemm(self) -> Gemm:
        """What the kernel multiplies."""
        return self.layer.gemm(self.stage, tokens=self.tokens, block_m=self.block_m)

    @property
    def columns(self) -> int:
        """Columns of the output: gate and up side by side where K is split."""
        return self.gemm.n * (2 if self.parts > 1 else 1)

    @property
    def topk(self) -> int:
        """Experts of one token."""
        return self.layer.topk

    @property
    def experts(self) -> int:
        """Experts of the layer."""
        return self.layer.experts

    def name(self) -> str:
        """Return a short name for reports."""
        split = f" parts={self.parts}" if self.parts > 1 else ""
        return (
            f"stage{self.stage} tokens={self.tokens} topk={self.topk} experts={self.experts}"
            f" n={self.gemm.n} k={self.gemm.k}{split} block_m={self.block_m}"
            f"{' extreme values' if self.extreme else ''}"
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


class Kind(StrEnum):
    """How operands hold values, and what scales them."""

    MX_FP4 = "mx"
    """Two fp4 codes a byte (low nibble first), an e8m0 scale for 32 values of K."""
    # fp8 is OCP e4m3; scales are float32: one a row, one a tensor, or one for 1x128 activations and
    # 128x128 weights.
    FP8_ROW = "fp8 row"
    FP8_TENSOR = "fp8 tensor"
    INT4_ROW = "int4 row"
    """fp8 activations, int4 weights, a scale a row of each."""
    FP8_BLOCK = "fp8 block"
    BF16 = "bf16"
    F16 = "f16"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem; operands in their logical layout, as bytes."""

    kind: Kind
    batch: Batch
    routing: Routing
    activations: U8
    """(rows, bytes of k): a row a token in stage 1, a row a (token, slot) in stage 2."""
    activation_scales: Scales | None
    """MX: (rows, k/32) e8m0; else float32 (rows, 1), (1, 1) or (rows, k/128)."""
    weights: U8
    """(experts, rows of a weight, bytes of k); stage 1: n gate rows, then n up rows.  int4: a byte
    a value, two's complement."""
    weight_scales: Scales | None
    """MX: (experts, rows, k/32) e8m0; else float32 (experts, rows, 1), (experts, 1, 1) or
    (experts, rows/128, k/128)."""


def route(batch: Batch, seed: int) -> Routing:
    """Return a routing with an expert that takes everybody, an empty one, the last and duplicates.

    Slot 0 of every token is expert 0 (so that it fills more than one block and pads the last);
    expert 1 stays empty; the other slots spread over the rest, and every seventh token names
    expert 0 in all of its slots.  The rows of extreme values are all of one expert.
    """
    if batch.extreme:
        one = np.full((batch.tokens, batch.topk), extremes.EXPERT, np.int32)
        return sort(batch, one, np.resize(extremes.ROUTED_WEIGHTS, one.shape).astype(np.float32))
    random = np.random.default_rng(seed)
    ids = random.integers(2, batch.experts, (batch.tokens, batch.topk)).astype(np.int32)
    ids[:, 0] = 0
    ids[-1, -1] = batch.experts - 1
    ids[::7] = 0
    weights = random.uniform(0.05, 1.0, (batch.tokens, batch.topk)).astype(np.float32)
    return sort(batch, ids, weights)


def sort(batch: Batch, topk_ids: I32, weights: F32) -> Routing:
    """Return the routing in AITER's sorted form; what is beyond ``valid`` holds padding rows."""
    block = batch.block_m
    padding = batch.topk << _SLOT_SHIFT | batch.tokens
    size = batch.layer.sorted_rows(batch.tokens, block)
    ids = np.full(-(-size // block) * block, padding, np.int32)
    factors = np.zeros(ids.size, np.float32)
    experts: list[int] = []
    start = 0
    for expert in range(batch.experts):
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


def make_problem(kind: Kind, batch: Batch, seed: int = 1) -> Problem:
    """Return random codes of every finite value, and scales for sums of order two.

    With values of mean square q and factors of mean square f a sum of k products has a standard
    deviation of q * f * sqrt(k).  Scales spread over seven powers of two where they are powers of
    two, else over a factor of four.
    """
    random = np.random.default_rng(seed)
    rows = batch.tokens if batch.stage == 1 else batch.tokens * batch.topk
    weight_rows = 2 * batch.gemm.n if batch.stage == 1 else batch.gemm.n
    make = _mx if kind is Kind.MX_FP4 else _wide
    activations, activation_scales = make(kind, random, (rows,), batch.gemm.k)
    weights, weight_scales = make(kind, random, (batch.experts, weight_rows), batch.gemm.k)
    if batch.extreme:
        dtype = _TYPES[kind]
        down = extremes.INT4 if kind is Kind.INT4_ROW else dtype
        extremes.sharpen_activations(
            extremes.Operand(codes=activations, scales=activation_scales, dtype=dtype)
        )
        extremes.sharpen_weights(
            extremes.Operand(codes=weights, scales=weight_scales, dtype=down),
            gated=batch.stage == 1,
        )
    return Problem(
        kind=kind,
        batch=batch,
        routing=route(batch, seed + 1),
        activations=activations,
        activation_scales=activation_scales,
        weights=weights,
        weight_scales=weight_scales,
    )


Made = tuple[U8, "Scales | None"]
_TYPES = {
    Kind.MX_FP4: extremes.FP4,
    Kind.FP8_ROW: extremes.FP8,
    Kind.FP8_TENSOR: extremes.FP8,
    Kind.FP8_BLOCK: extremes.FP8,
    Kind.INT4_ROW: extremes.FP8,
    Kind.BF16: extremes.BF16,
    Kind.F16: extremes.F16,
}
"""Type of the activations' values."""


def _mx(kind: Kind, random: np.random.Generator, size: tuple[int, ...], k: int) -> Made:  # noqa: ARG001
    # The mean square of an fp4 value is 8.6, that of 2**d with d from -3 to 3 is 12.2.
    middle = 127 - round(np.log2(52 * np.sqrt(k)) / 2)
    powers = random.integers(-3, 4, (*size, k // SCALE_BLOCK))
    codes = random.integers(0, 256, (*size, k // 2), dtype=np.uint8)
    return codes, (middle + powers).astype(np.uint8)


def _wide(kind: Kind, random: np.random.Generator, size: tuple[int, ...], k: int) -> Made:
    target = math.sqrt(2 / math.sqrt(k))
    if kind in (Kind.BF16, Kind.F16):
        dtype = ml_dtypes.bfloat16 if kind is Kind.BF16 else np.float16
        values = (random.standard_normal((*size, k)) * target).astype(dtype)
        return np.ascontiguousarray(values).view(np.uint8), None
    if kind is Kind.INT4_ROW and len(size) > 1:
        numbers = random.integers(-8, 8, (*size, k), dtype=np.int8).view(np.uint8)
        scales = random.uniform(0.5, 2.0, (*size, 1)) * target / INT4_RMS
        return numbers, scales.astype(np.float32)
    # The mean square of a finite e4m3 value is about 8450, so that of the scales has to be less.
    codes = random.integers(0, 256, (*size, k), dtype=np.uint8)
    codes[(codes & 0x7F) == E4M3_NAN] = 0
    scales = random.uniform(0.5, 2.0, _scales(kind, size, k)) * target / 92
    return codes, scales.astype(np.float32)


def _scales(kind: Kind, size: tuple[int, ...], k: int) -> tuple[int, ...]:
    """Return the shape of the scales of an operand with ``size`` rows."""
    if kind is Kind.FP8_TENSOR:
        return (*size[:-1], 1, 1)
    if kind in (Kind.FP8_ROW, Kind.INT4_ROW):
        return (*size, 1)
    rows = size[-1] if len(size) == 1 else -(-size[-1] // WIDE_BLOCK)
    return (*size[:-1], rows, k // WIDE_BLOCK)
