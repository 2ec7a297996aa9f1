"""One small MoE problem for a kernel: operands from a seed, in the layouts in which AITER has them.

Each of two experts has a block of rows, full but for three rows of padding among them, so that
every part of a kernel's tile has work and its masks, too; a third expert between the two has none.
Rows of activations repeat four patterns, in an order in which rows 1, 4, 16 and 64 apart differ:
so the reference computes four rows an expert, however many the kernel does.  What must not be read
holds NaN: the weights of the idle expert (its scales, where its codes have no NaN) and the scales
of padding rows.
"""

from __future__ import annotations

import math
import struct

from aiter_prebuilt.call import ModuleKey, Stage
from aiter_prebuilt.selftest import extremes, layouts
from aiter_prebuilt.selftest.content import Content
from aiter_prebuilt.selftest.formats import (
    FORMATS,
    NAN_E8M0,
    OUT_FORMATS,
    SUMS,
    OutFormat,
    round_f32,
    stream,
)
from aiter_prebuilt.selftest.scales import (
    MX_BLOCK,
    SCALES,
    Scales,
    floats,
    mx,
    mx_scales,
    rows_of,
    scale_grid,
    target,
)
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import Instance, Kernel, Module

TOPK, EXPERTS = 2, 3
USED = (0, 2)
"""Experts with tokens; expert 1 has none."""
_PATTERNS, _WEIGHTS = 4, 5
"""Different rows of activations, different routed weights."""
_ALL_PATTERNS = 6
"""With those of :mod:`aiter_prebuilt.selftest.extremes`."""
_HOLES = 3
"""Rows of padding in a block."""
_COLUMN_BLOCKS = 2
_PARTS = 2
"""Parts of a split K: with two the sum has the same bits in whatever order they are added."""
_SLOT_SHIFT = 24
_OPERANDS = {
    ("fp4x2", "fp4x2"): ("mx",),
    ("f8", "f8"): ("row", "tensor", "wide"),
    ("f8", "i4"): ("row", "tensor"),
    ("b16", "b16"): ("none",),
    ("f16", "f16"): ("none",),
}
"""Activation and weight -> the scales with which there is a problem for them."""
ACTIVATIONS = ("silu", "gelu", "swiglu")


class NoProblemError(Exception):
    """There is no problem for a kernel; the message says why."""


@value_class(frozen=True, kw_only=True)
class Case:
    """One kernel of one module."""

    module: Module
    instance: Instance
    kernel: Kernel

    @property
    def name(self) -> str:
        """AITER's name of the instance and which of its kernels."""
        loop = "main" if self.kernel.main_loop else "nomain"
        return f"{self.instance.name}.{loop}_{self.kernel.tail}"


@value_class(frozen=True, kw_only=True)
class Operand:
    """Activations or weights: the bytes of each logical row, and the tensor that holds them."""

    format: str
    rows: tuple[bytes, ...]
    data: Content
    """As a kernel reads it."""
    shape: tuple[int, ...]
    scales: Scales | None


@value_class(frozen=True, kw_only=True)
class Problem:
    """All that one call takes, and what the reference has to know."""

    features: ModuleKey
    stage: Stage
    tokens: int
    topk: int
    n: int
    k: int
    block_m: int
    kernel_name: str
    activations: Operand
    """A row a token in stage 1, a row a (token, slot) in stage 2."""
    weights: Operand
    """Rows of all experts; stage 1: n gate rows, then n up rows of each."""
    routing: tuple[tuple[int, ...], ...]
    """(token, slot) -> expert."""
    routed_weights: tuple[tuple[float, ...], ...]
    sorted_ids: Content
    sorted_weights: Content
    sorted_experts: Content
    valid: Content
    parts: int = 1
    """Parts that K is split into; with more than one the output holds the sums of gate and up."""

    @property
    def splits(self) -> bool:
        """Whether K is split."""
        return self.parts > 1

    @property
    def out(self) -> OutFormat:
        """What the kernel writes."""
        return SUMS if self.splits else OUT_FORMATS[self.features.c_dtype]

    @property
    def multiplies(self) -> bool:
        """Whether this stage multiplies by the routed weight."""
        return self.features.routed_weight_stage == self.stage

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        columns = 2 * self.n if self.splits else self.n
        return (self.tokens, self.topk, columns) if self.stage == 1 else (self.tokens, columns)


def steps_of(kernel: Kernel, prefetch: int) -> int:
    """Return the fewest K steps for which CK launches this one of an instance's kernels."""
    steps = prefetch + 1 if kernel.main_loop else 1
    if kernel.tail != "full" and (steps % 2 == 1) != (kernel.tail == "odd"):
        steps += 1
    if not kernel.main_loop and steps > prefetch:
        raise NoProblemError(f"no K reaches {kernel.tail} without a main loop")
    return steps


def sizes(case: Case) -> tuple[int, int]:
    """Return N and K of a kernel's problem."""
    instance, parts = case.instance, parts_of(case)
    steps = steps_of(case.kernel, instance.prefetch_stages)
    if parts > 1 and steps == 1:
        raise NoProblemError("no part of a split K has a single step")
    return _COLUMN_BLOCKS * instance.n_per_block, instance.k_per_block * steps * parts


def parts_of(case: Case) -> int:
    """Return how many parts of K a kernel's problem has."""
    features = case.module.features
    return _PARTS if features is not None and features.splitk and case.instance.stage == 1 else 1


def describe(case: Case) -> str:
    """Return the numbers of a kernel's problem for people, or why it has none."""
    try:
        n, k = sizes(case)
        features_of(case)
    except NoProblemError as error:
        return str(error)
    block_m, parts = case.instance.block_m, parts_of(case)
    split = f" parts={parts}" if parts > 1 else ""
    return (
        f"stage{case.instance.stage} tokens={block_m - _HOLES} topk={TOPK} experts={EXPERTS}"
        f" n={n} k={k}{split} block_m={block_m}"
    )


def make_problem(case: Case, seed: int) -> Problem:
    """Return the problem of a kernel; raises :class:`NoProblemError` where there is none."""
    features = features_of(case)
    instance = case.instance
    n, k = sizes(case)
    label = f"{features.stock_name}/{case.name}"
    down = instance.stage == 2  # noqa: PLR2004
    places = _places(instance.block_m)
    weight_rows = EXPERTS * (n if down else 2 * n)
    source = [None if p is None else p[0] * TOPK + p[1] if down else p[0] for p in places]
    tokens = instance.block_m - _HOLES
    weights = _routed_weights(stream(seed, f"{label}/routed", _WEIGHTS), tokens)
    flat = [0.0 if p is None else weights[p[0]][p[1]] for p in places]
    return Problem(
        features=features,
        stage=instance.stage,
        tokens=tokens,
        topk=TOPK,
        n=n,
        k=k,
        block_m=instance.block_m,
        kernel_name=instance.name,
        activations=_activations(
            features, seed, label, (tokens, TOPK) if down else (tokens,), k, source
        ),
        weights=_weights(features, seed, label, weight_rows, k, gated=not down),
        routing=tuple(tuple(_expert(t, s) for s in range(TOPK)) for t in range(tokens)),
        routed_weights=weights,
        sorted_ids=struct.pack(f"<{len(places)}i", *(_sorted_id(p, tokens) for p in places)),
        sorted_weights=struct.pack(f"<{len(flat)}f", *flat),
        sorted_experts=struct.pack(f"<{len(USED)}i", *USED),
        valid=struct.pack("<2i", len(USED) * instance.block_m, tokens),
        parts=parts_of(case),
    )


def features_of(case: Case) -> ModuleKey:
    """Return what a module's calls are; raises where no problem is known for them."""
    features = case.module.features
    if features is None:
        raise NoProblemError("a harvested module of another kind")
    scales = SCALES.get(features.quant)
    known = scales in _OPERANDS.get((features.a_dtype, features.b_dtype), ())
    if not known or features.c_dtype not in OUT_FORMATS or (features.splitk and scales != "wide"):
        split = ", split K" if features.splitk else ""
        kind = f"{features.a_dtype} x {features.b_dtype} -> {features.c_dtype}, {features.quant}"
        raise NoProblemError(f"no problem is known for {kind}{split}")
    if features.activation not in ACTIVATIONS:
        raise NoProblemError(f"no reference is known for activation {features.activation}")
    return features


def _expert(token: int, slot: int) -> int:
    return USED[(token + slot) % TOPK]


def _places(block_m: int) -> list[tuple[int, int] | None]:
    """(token, slot) of each sorted row, None for padding; as many rows as AITER sorts."""
    tokens = block_m - _HOLES
    places: list[tuple[int, int] | None] = [None] * (tokens * TOPK + EXPERTS * block_m - TOPK)
    # The first row of a block has to be real: a kernel skips the block otherwise.
    holes = {block_m // 4 + 1, block_m // 2 + 1, block_m - 1}
    filled = [row for row in range(block_m) if row not in holes]
    for position, expert in enumerate(USED):
        own = [(t, s) for t in range(tokens) for s in range(TOPK) if _expert(t, s) == expert]
        for row, pair in zip(filled, own, strict=True):
            places[position * block_m + row] = pair
    return places


def _pattern(row: int, count: int) -> int:
    """Which of ``count`` patterns a row has: with four, the sum of the row's digits to base 4.

    So rows 1, 4, 16 and 64 apart have different ones; 63 and 64 have the same.
    """
    return (row + row // 4 + row // 16 + row // 64) % count


def _pattern_of(row: int) -> int:
    """Which pattern a row of activations has."""
    return extremes.SPECIAL_ROWS.get(row, _pattern(row, _PATTERNS))


def _routed_weights(raw: bytes, tokens: int) -> tuple[tuple[float, ...], ...]:
    values = round_f32([0.05 + byte / 270 for byte in raw])
    return tuple(
        tuple(values[_pattern(token * TOPK + slot, _WEIGHTS)] for slot in range(TOPK))
        for token in range(tokens)
    )


def _sorted_id(place: tuple[int, int] | None, tokens: int) -> int:
    token, slot = (tokens, TOPK) if place is None else place
    return slot << _SLOT_SHIFT | token


def _activations(
    features: ModuleKey,
    seed: int,
    label: str,
    leading: tuple[int, ...],
    k: int,
    source: list[int | None],
) -> Operand:
    form, rms = FORMATS[features.a_dtype], target(k)
    width = k * form.bits // 8
    usual = rows_of(form.draw(stream(seed, f"{label}/a", _PATTERNS * width), rms), width)
    patterns = [
        extremes.raised(features.a_dtype, row, power)
        for row, power in zip(usual, extremes.ROW_POWERS, strict=True)
    ]
    patterns += [
        extremes.special(features.a_dtype, width, broken=broken) for broken in (False, True)
    ]
    order = [_pattern_of(row) for row in range(math.prod(leading))]
    rows = tuple(patterns[index] for index in order)
    return Operand(
        format=features.a_dtype,
        rows=rows,
        data=b"".join(rows),
        shape=(*leading, k // 2 if features.a_dtype == "fp4x2" else k),
        scales=_activation_scales(features, seed, f"{label}/a_scale", order, k, source),
    )


def _activation_scales(
    features: ModuleKey,
    seed: int,
    label: str,
    order: list[int],
    k: int,
    source: list[int | None],
) -> Scales | None:
    """The scales of rows that repeat patterns in this ``order``."""
    kind = SCALES[features.quant]
    if kind == "none":
        return None
    if kind == "mx":
        blocks = k // MX_BLOCK
        drawn = rows_of(mx(seed, label, _ALL_PATTERNS, k), blocks)
        lines = [extremes.mx_line(line, pattern) for pattern, line in enumerate(drawn)]
        raw = b"".join(lines[index] for index in order)
        return mx_scales(raw, layouts.sorted_scales(raw, blocks, source, NAN_E8M0), k)
    grid = scale_grid(kind, rows=_ALL_PATTERNS, group=_ALL_PATTERNS, k=k, weight=False)
    middle = _middle(features.a_dtype, kind, k)
    one = floats(stream(seed, label, 2 * grid.count), grid, middle)
    own = list(one.factors)
    if kind != "tensor":
        own = [extremes.float_line(line, pattern) for pattern, line in enumerate(own)]
    factors = tuple(own[index] for index in order)
    # One for the whole tensor stands once, the others once a row.
    flat = factors[0] if kind == "tensor" else [factor for row in factors for factor in row]
    data = struct.pack(f"<{len(flat)}f", *flat)
    return Scales(data=data, torch=one.torch, factors=factors, block=one.block)


def _weights(
    features: ModuleKey, seed: int, label: str, rows: int, k: int, *, gated: bool
) -> Operand:
    form = FORMATS[features.b_dtype]
    width = k * form.bits // 8
    each = rows // EXPERTS
    powers = [extremes.column_power(row, each, gated=gated) for row in range(rows)]
    drawn = rows_of(form.draw(stream(seed, f"{label}/w", rows * width), target(k)), width)
    data = b"".join(
        bytes(width)
        if row % each == extremes.EMPTY
        else extremes.raised(features.b_dtype, codes, powers[row])
        for row, codes in enumerate(drawn)
    )
    if features.b_dtype in _NAN_CODES:
        idle = _NAN_CODES[features.b_dtype] * (each * width // len(_NAN_CODES[features.b_dtype]))
        data = data[: each * width] + idle + data[2 * each * width :]
    elements = {"fp4x2": k // 2, "i4": k // 8}.get(features.b_dtype, k)
    return Operand(
        format=features.b_dtype,
        rows=tuple(rows_of(data, width)),
        data=_placed_weights(features, data, width),
        shape=(EXPERTS, each, elements),
        scales=_weight_scales(features, seed, f"{label}/w_scale", powers, k),
    )


_NAN_CODES = {"f8": b"\x7f", "b16": b"\xc0\x7f", "f16": b"\x00\x7e"}


def _placed_weights(features: ModuleKey, data: bytes, width: int) -> bytes:
    if features.b_dtype == "i4":
        return layouts.shuffle_int4(data, width)
    # Only the MX kernels exist for plain weights; the mark of the others says nothing.
    plain = features.b_dtype == "fp4x2" and not features.preshuffle
    return data if plain else layouts.shuffle_weight(data, width)


def _weight_scales(
    features: ModuleKey, seed: int, label: str, powers: list[int], k: int
) -> Scales | None:
    kind, rows = SCALES[features.quant], len(powers)
    if kind == "none":
        return None
    if kind == "mx":
        lines = rows_of(mx(seed, label, rows, k), k // MX_BLOCK)
        raw = b"".join(map(extremes.mx_raised, lines, powers))
        each = len(raw) // EXPERTS
        idle = raw[:each] + bytes([NAN_E8M0]) * each + raw[2 * each :]
        return mx_scales(raw, layouts.shuffle_scale(idle, k // MX_BLOCK), k)
    each = rows // EXPERTS
    grid = scale_grid(kind, rows=rows, group=each, k=k, weight=True)
    middle = _middle(features.b_dtype, kind, k)
    own = () if kind == "tensor" else powers
    return floats(stream(seed, label, 2 * grid.count), grid, middle, own)


def _middle(form: str, kind: str, k: int) -> float:
    """The float32 scale in the middle; a larger one of a tensor, whose rows have no powers."""
    return target(k) / FORMATS[form].rms * (extremes.TENSOR_FACTOR if kind == "tensor" else 1)
