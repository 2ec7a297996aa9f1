"""Which back end AITER gives a MoE call, by a row of its tuned tables or by its own rules.

CK2stages is one of several: some calls go to one-stage assembly kernels, CK-Tile, FlyDSL or Opus.
The rules are those of ``aiter/fused_moe.py`` (get_padded_M, get_block_size_M, get_ksplit,
fused_moe_1stage_dict, get_2stage_cfgs, in this order here) on the target GPU; what differs between
AITER's releases stands in :class:`~aiter_prebuilt.choice.generations.Generation`.  Each rule has a
name, so that a plan can say why a shape is in or out.  They hold for gated weights (w1 holds gate
and up), as all recipes have.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Literal

from aiter_prebuilt.call import STAGES, Call, ModuleKey, Shape, Stage
from aiter_prebuilt.choice.heuristic import (
    LATE,
    choose_block_m,
    one_stage,
    padded_counts,
    padded_tokens,
    remapped,
    split_k,
    takes_split_k,
)
from aiter_prebuilt.choice.rules import Rules, every_rules
from aiter_prebuilt.choice.tuned import Row
from aiter_prebuilt.values import value_class

Backend = Literal["ck2stages", "one-stage", "cktile", "flydsl", "opus", "asm"]

COMPILED: tuple[Backend, ...] = ("cktile", "flydsl", "opus")
"""Back ends beside CK2stages that compile something on their first call; assembly comes ready."""

_ONE_STAGE_BLOCK_M = 32
_CK_WEIGHTS = ("b16", "f16", "i4", "fp4x2", "f8")
_WIDE = ("b16", "f16")
_ASM_BLOCK_MS = (16, 32, 64, 128)


@value_class(frozen=True, kw_only=True)
class Route:
    """Where the stages of a MoE layer go, and by which rule."""

    backends: tuple[Backend, Backend]
    rule: str
    calls: tuple[Call, Call]
    """What CK2stages is asked for, where it is the back end."""
    split_k: int
    """Split of K in stage 1, of which :func:`takes_split_k` makes a module."""
    by_row: bool
    """Whether a row of a tuned table decided."""
    fault: str = ""
    """Why AITER cannot run what it chose; empty where it can."""

    def backend(self, stage: Stage) -> Backend:
        """Return the back end of one stage."""
        return self.backends[stage - 1]

    @property
    def asked(self) -> tuple[Call, ...]:
        """The calls that come to CK2stages."""
        return tuple(call for call in self.calls if self.backend(call.stage) == "ck2stages")


@value_class(frozen=True, kw_only=True)
class _Batch:
    """What comes in, with the number of tokens that AITER looks its choice up with."""

    features: ModuleKey
    shape: Shape
    tokens: int
    padded: int


@value_class(frozen=True, kw_only=True)
class _Plan:
    """What a row or the heuristic says, before AITER looks for the back end."""

    batch: _Batch
    block_m: int
    split_k: int
    kernels: tuple[str, str]
    one_stage: bool
    by_row: bool

    @property
    def nameless(self) -> Stage | None:
        """The stage for which a row of two stages names no kernel; AITER reads it as a float."""
        if not self.by_row or self.one_stage or all(self.kernels):
            return None
        return 2 if self.kernels[0] else 1

    @property
    def features(self) -> ModuleKey:
        """Of the batch."""
        return self.batch.features

    @property
    def is_late(self) -> bool:
        """Whether stage 2 multiplies by the routed weights."""
        return self.features.routed_weight_stage == LATE

    def names(self, stage: Stage, prefix: str) -> bool:
        """Whether the kernel of a stage has a name that begins so."""
        return self.kernels[stage - 1].startswith(prefix)


@value_class(frozen=True, kw_only=True)
class _Taken:
    """The back ends, and what they change of the plan."""

    backends: tuple[Backend, Backend]
    rule: str
    block_m: int | None = None
    fault: str = ""


def operands(features: ModuleKey, tokens: int, rules: Rules) -> ModuleKey:
    """Return the features with the activations' dtype that AITER gives a batch.

    Swiglu's activations for MXFP4 weights are of 16 bits for few tokens; for all else the caller's
    dtype holds.
    """
    if not (features.activation == "swiglu" and _is_mxfp4(features)):
        return features
    generation = rules.generation
    bound = rules.swiglu_bound if generation.swiglu_narrow == "fp4x2" else None
    few = tokens < (generation.swiglu_bound if bound is None else bound)
    return dataclasses.replace(
        features, a_dtype=features.c_dtype if few else generation.swiglu_narrow
    )


def route(
    features: ModuleKey, shape: Shape, tokens: int, rules: Rules, row: Row | None = None
) -> Route:
    """Return the back ends of a batch, by a row of a tuned table or without one.

    ``features.splitk`` does not count: AITER decides it (:attr:`Route.split_k`).  Raises ValueError
    where ``tokens`` is below 1.
    """
    plan, taken = _decide(features, shape, tokens, rules, row)
    block_m = taken.block_m or plan.block_m
    first, second = (_call(plan, stage, block_m, rules) for stage in STAGES)
    return Route(
        backends=taken.backends,
        rule=taken.rule,
        calls=(first, second),
        split_k=plan.split_k,
        by_row=plan.by_row,
        fault=taken.fault,
    )


@functools.lru_cache(maxsize=4096)
def heuristic_calls(features: ModuleKey, shape: Shape, tokens: tuple[int, int]) -> tuple[Call, ...]:
    """Return what AITER's heuristic asks of CK2stages for a shape within a range of tokens.

    The widest of the generations, with FlyDSL and without: a wheel serves all of them.  One whose
    generator refuses the activation does not count: it has no such module.  ``features.splitk``
    does not count; of calls that differ in tokens alone the one with the fewest is given.
    """
    found: dict[tuple[ModuleKey, Stage, int, int], Call] = {}
    for rules in _every_rules_for(features):
        for padded in padded_counts(*tokens, rules.generation.tiers):
            plan, taken = _decide(features, shape, padded, rules, None)
            block_m = taken.block_m or plan.block_m
            for stage in STAGES:
                if taken.backends[stage - 1] == "ck2stages":
                    asked = _features(plan, stage, rules)
                    key = (asked, stage, block_m, plan.split_k if asked.splitk else 1)
                    if key not in found:
                        found[key] = _call(plan, stage, block_m, rules)
    return tuple(found.values())


def _every_rules_for(features: ModuleKey) -> Iterator[Rules]:
    """FlyDSL changes the heuristic for MXFP4 alone."""
    for rules in every_rules():
        counts = not rules.flydsl or _is_mxfp4(features)
        if counts and features.activation in rules.generation.activations:
            yield rules


def _decide(
    features: ModuleKey, shape: Shape, tokens: int, rules: Rules, row: Row | None
) -> tuple[_Plan, _Taken]:
    batch = _Batch(
        features=operands(features, tokens, rules),
        shape=shape,
        tokens=tokens,
        padded=padded_tokens(tokens, rules.generation.tiers),
    )
    plan = _heuristic(batch, rules) if row is None or rules.bypass else _by_row(batch, rules, row)
    return plan, next(found for step in _STEPS if (found := step(plan, rules)) is not None)


def _features(plan: _Plan, stage: Stage, rules: Rules) -> ModuleKey:
    """The features of the module that a stage asks for."""
    features, name = plan.features, plan.kernels[stage - 1]
    k = plan.batch.shape.model_dim
    splits = stage != LATE and takes_split_k(features.quant, plan.split_k, k, rules, name)
    return features if features.splitk == splits else dataclasses.replace(features, splitk=splits)


def _call(plan: _Plan, stage: Stage, block_m: int, rules: Rules) -> Call:
    features = _features(plan, stage, rules)
    return Call(
        features=features,
        shape=plan.batch.shape,
        stage=stage,
        tokens=plan.batch.tokens,
        block_m=block_m,
        kernel_name=plan.kernels[stage - 1],
        parts=plan.split_k if features.splitk else 1,
    )


def _heuristic(batch: _Batch, rules: Rules) -> _Plan:
    features, shape, padded = batch.features, batch.shape, batch.padded
    single = one_stage(features, shape, padded, rules.generation)
    parts = rules.ksplit or split_k(features.quant, padded, shape, rules.cu_count)
    splittable = not single and remapped(features.quant) in ("per_1x128", "per_1x32")
    block_m = choose_block_m(features.quant, shape, padded, rules.cu_count)
    return _Plan(
        batch=batch,
        block_m=_ONE_STAGE_BLOCK_M if single else block_m,
        split_k=parts if splittable else 0,
        kernels=("", ""),
        one_stage=single,
        by_row=False,
    )


def _by_row(batch: _Batch, rules: Rules, row: Row) -> _Plan:
    off = rules.ksplit == -1 and rules.generation.ksplit_off
    return _Plan(
        batch=batch,
        block_m=row.block_m,
        split_k=0 if off else row.split_k,
        kernels=(row.kernel(1), row.kernel(2)),
        one_stage=row.one_stage,
        by_row=True,
    )


def _take_mxmoe(plan: _Plan, rules: Rules) -> _Taken | None:
    prefix = "flydsl_mxmoe_g"
    if not rules.generation.mxmoe_rows or not (plan.names(1, prefix) or plan.names(2, prefix)):
        return None
    tile = plan.kernels[0].removeprefix("flydsl_mxmoe_g1_a4w4_").partition("x")[0]
    return _Taken(
        backends=("flydsl", "flydsl"),
        rule="row-mxmoe",
        block_m=int(tile) if plan.names(1, prefix) and tile.isdigit() else None,
        fault="" if rules.flydsl else "FlyDSL is not installed",
    )


def _take_one_stage(plan: _Plan, _: Rules) -> _Taken | None:
    if not plan.one_stage:
        return None
    rule = "row-one-stage" if plan.by_row else "one-stage-assembly"
    return _Taken(backends=("one-stage", "one-stage"), rule=rule)


def _take_named(plan: _Plan, rules: Rules) -> _Taken | None:
    """A row that names a kernel of FlyDSL or Opus; the other stage can be CK2stages'."""
    generation = rules.generation
    if plan.nameless and generation.flydsl_rows == "both" and not generation.mxmoe_rows:
        return _nameless(plan)
    opus_1 = generation.opus_rows == "both" and plan.names(1, "opus_moe1_")
    flydsl = rules.flydsl and generation.flydsl_rows == "both"
    named = plan.names(1, "flydsl_") or plan.names(2, "flydsl_")
    if not (opus_1 or (flydsl and named)):
        return None
    first: Backend = "ck2stages"
    if opus_1:
        first = "opus"
    elif plan.names(1, "flydsl_"):
        first = "flydsl"
    return _Taken(backends=(first, _second(plan, rules, flydsl_always=True)), rule="row-named")


def _nameless(plan: _Plan) -> _Taken:
    fault = f"the row names no kernel for stage {plan.nameless}"
    return _Taken(backends=("ck2stages", "ck2stages"), rule="row-nameless", fault=fault)


def _second(plan: _Plan, rules: Rules, *, flydsl_always: bool = False) -> Backend:
    """The back end of stage 2, by its kernel's name."""
    generation = rules.generation
    flydsl = flydsl_always or (rules.flydsl and generation.flydsl_rows != "never")
    if flydsl and plan.names(2, "flydsl_"):
        return "flydsl"
    if generation.opus_rows != "never" and plan.names(2, "opus_"):
        return "opus"
    if generation.cktile_rows and plan.names(2, "cktile_"):
        return "cktile"
    return "ck2stages"


def _take_flydsl(plan: _Plan, rules: Rules) -> _Taken | None:
    """FlyDSL's own heuristic for MXFP4, which does not ask what a row names."""
    generation = rules.generation
    swiglu = plan.features.activation == "swiglu"
    wanted = {
        "never": False,
        "swiglu": swiglu,
        "mxfp4": swiglu or rules.flydsl_force,
    }[generation.flydsl_heuristic]
    fits = _is_mxfp4(plan.features) and plan.features.preshuffle and plan.is_late
    if not (wanted and fits and rules.flydsl) or plan.features.a_dtype in _WIDE:
        return None
    tiles = ((2048, 32), (4096, 64), (16384, 128))
    block_m = next((tile for below, tile in tiles if plan.batch.padded < below), 64)
    return _Taken(backends=("flydsl", "flydsl"), rule="mxfp4-flydsl", block_m=block_m)


def _take_cktile(plan: _Plan, rules: Rules) -> _Taken | None:
    """CK-Tile for MXFP4 with few tokens (split K), and for most of swiglu."""
    if not _is_mxfp4(plan.features):
        return None
    block_m = 16 if plan.batch.padded < 2048 else 32 if plan.batch.padded < 16384 else 64  # noqa: PLR2004
    split = _Taken(backends=("cktile", "cktile"), rule="mxfp4-split-k", block_m=block_m)
    swiglu = _Taken(backends=("cktile", "cktile"), rule="swiglu-mxfp4", block_m=block_m)
    if plan.features.activation != "swiglu":
        return split if plan.features.preshuffle and plan.split_k > 1 else None
    if rules.generation.swiglu_mxfp4 == "cktile":
        return swiglu
    if plan.features.a_dtype in _WIDE and plan.features.preshuffle:
        return swiglu
    if rules.generation.swiglu_mxfp4 == "unnamed" and not plan.by_row:
        return swiglu
    return None


def _take_ck2stages(plan: _Plan, rules: Rules) -> _Taken | None:
    if plan.nameless:
        return _nameless(plan)
    name = plan.kernels[0]
    early_blockscale = remapped(plan.features.quant) == "per_1x128" and not plan.is_late
    unnamed = not plan.by_row and (early_blockscale or plan.features.b_dtype in _CK_WEIGHTS)
    if "ck2stages" not in name and not unnamed:
        return None
    return _Taken(backends=("ck2stages", _second(plan, rules)), rule="ck2stages")


def _take_assembly(plan: _Plan, rules: Rules) -> _Taken:
    """AITER's assembly for stage 1: whatever is left."""
    larger = next((each for each in _ASM_BLOCK_MS if plan.block_m < each), _ASM_BLOCK_MS[-1])
    block_m = plan.block_m if plan.block_m in _ASM_BLOCK_MS else larger
    second = "ck2stages" if plan.names(2, "flydsl_") else _second(plan, rules)
    foreign = next((p for p in ("flydsl_", "opus_", "cktile_") if plan.names(1, p)), "")
    return _Taken(
        backends=("asm", second),
        rule="assembly-stage1",
        block_m=block_m,
        fault=f"its assembly has no kernel {plan.kernels[0]}" if foreign else "",
    )


def _is_mxfp4(features: ModuleKey) -> bool:
    return features.quant == "per_1x32" and features.b_dtype == "fp4x2"


_STEPS = (
    _take_mxmoe,
    _take_one_stage,
    _take_named,
    _take_flydsl,
    _take_cktile,
    _take_ck2stages,
    _take_assembly,
)
"""In AITER's order; the last takes everything."""
