"""What a row asks of CK2stages: for each stage the module, the instance and the sizes.

The rules are AITER's (``aiter/fused_moe.py``, get_2stage_cfgs; ``aiter/ops/moe_op.py``,
cmdGenFunc_ck_moe_stage; ``gemm_moe_ck2stages.cu``, moe_dispatch) at ``9bab8388`` and
``e4048607``.  A row without kernel names, or of an untuned table, is answered by the heuristic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aiter_prebuilt import target
from aiter_prebuilt.choice import routing
from aiter_prebuilt.wheel.manifest import ModuleKey
from prebuild.core import identity
from prebuild.core.model import Family, InstanceFacts, Stage
from prebuild.families import find_family
from prebuild.plan import rules
from prebuild.tuned.rows import Entry, Row

GPU = target.load().gfx
CK_PREFIX = "moe_ck2stages_"
_BACKENDS = (
    (CK_PREFIX, "ck2stages"),
    ("flydsl_", "flydsl"),
    ("cktile_", "cktile"),
    ("opus_", "opus"),
    ("swiglu_mxfp4_", "cktile"),
    ("_ZN", "asm"),
)
STAGES: tuple[Stage, ...] = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Use:
    """One stage of one row that CK2stages answers."""

    where: str
    stage: Stage
    features: ModuleKey
    family: Family | None
    """None: this project has no family for the features."""
    position: int | None
    """Of the instance in the family's table; None where AITER's own module has none either."""
    named: bool
    """Whether the row names the instance; else the heuristic takes it at ``block_m``."""
    block_m: int
    shape: routing.Shape

    @property
    def module(self) -> str:
        """AITER's name of the module."""
        return self.features.stock_name

    @property
    def facts(self) -> InstanceFacts | None:
        """The instance's row in its family's table."""
        if self.family is None or self.position is None:
            return None
        return self.family.instances[self.position]

    @property
    def instance(self) -> str | None:
        """The instance's name."""
        if self.family is None or self.facts is None:
            return None
        return identity.instance_name(self.family, self.features, self.stage, self.facts.tile)

    @property
    def gemm(self) -> tuple[int, int]:
        """(N, K) of the stage's GEMM."""
        inter, model = self.shape.inter_dim, self.shape.model_dim
        return (inter, model) if self.stage == 1 else (model, inter)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a row: the stages that reach CK2stages, and lines on what is odd."""

    entry: Entry
    uses: tuple[Use, ...]
    stages: tuple[str, str]
    """Back end of each stage; ``other gpu`` where the row is for another one."""
    notes: tuple[str, ...]


def judge(entries: Iterable[Entry]) -> tuple[Verdict, ...]:
    """Return the verdict on every row, in order."""
    return tuple(_judge(entry) for entry in entries)


def _judge(entry: Entry) -> Verdict:
    row = entry.row
    if entry.kind == "tuned" and row.gpu != GPU:
        return _verdict(entry, ("other gpu", "other gpu"), [f"is for {row.gpu}"])
    features = _features(row)
    if isinstance(features, str):
        return _verdict(entry, _named_backends(row), [features])
    if entry.kind == "untuned":
        if find_family(features) is None:
            return _verdict(entry, ("none", "none"), [f"no family is {features.stock_name}"])
        return _heuristic(entry, features)
    backends = _named_backends(row)
    notes = [] if row.tag in ("", "flydsl_fallback") else [
        f"has the tag {row.tag}: 9bab8388 leaves the row out"
    ]  # fmt: skip
    uses = []
    for stage in STAGES:
        if backends[stage - 1] == "ck2stages":
            use, note = _named_use(entry, features, stage)
            uses.append(use)
            notes += note
    return _verdict(entry, backends, notes, uses)


def _verdict(
    entry: Entry, stages: tuple[str, str], notes: Iterable[str], uses: Iterable[Use] = ()
) -> Verdict:
    lines = tuple(f"{entry.where}: {note}" for note in notes)
    return Verdict(entry=entry, uses=tuple(uses), stages=stages, notes=lines)


def _features(row: Row) -> ModuleKey | str:
    """The features of the module that the row's shape takes, or why there is none."""
    a, b, c = row.dtypes()
    if row.q_dtype_w == "torch.int4" and row.q_type == "QuantType.per_1x32":
        return "int4 weights with group scales are FlyDSL's, not CK2stages'"
    if a is None or b is None or c is None:
        found = f"{row.q_dtype_a}, {row.q_dtype_w}, {row.dtype}"
        return f"CK2stages has no kernels for dtypes {found} on {GPU}"
    if row.quant is None:
        return f"CK2stages has no kernels for {row.q_type}"
    return ModuleKey(
        a_dtype=a,
        b_dtype=b,
        c_dtype=c,
        preshuffle=True,
        activation=row.activation,
        quant=row.quant,
        routed_weight_stage=1 if row.doweight_stage1 else 2,
    )


def _named_backends(row: Row) -> tuple[str, str]:
    if row.run_1stage:
        return "one-stage", "one-stage"
    return _backend(row, row.kernel1, 1), _backend(row, row.kernel2, 2)


def _backend(row: Row, kernel: str, stage: Stage) -> str:
    for prefix, backend in _BACKENDS:
        if kernel.startswith(prefix):
            return backend
    if kernel:
        return "other"
    # No name: AITER's stage 2 is CK2stages'; its stage 1 is assembly for int8 weights.
    return "asm" if stage == 1 and row.q_dtype_w == "torch.int8" else "ck2stages"


def _named_use(entry: Entry, features: ModuleKey, stage: Stage) -> tuple[Use, list[str]]:
    row = entry.row
    splits = routing.takes_split_k(features.quant, stage, row.ksplit, row.kernel1)
    own = dataclasses.replace(features, splitk=splits)
    family = find_family(own)
    name = row.kernel1 if stage == 1 else row.kernel2
    notes: list[str] = []
    position = None
    named = False
    if family is None:
        notes.append(f"stage {stage}: no family is {own.stock_name}")
    else:
        position = _position(family, own, stage, name)
        named = position is not None
        if not named:
            position = rules.heuristic_choice(family, stage, row.block_m, row.inter_dim)
            notes += _unnamed_notes(stage, name, row.block_m, position)
    use = Use(
        where=entry.where,
        stage=stage,
        features=own,
        family=family,
        position=position,
        named=named,
        block_m=row.block_m,
        shape=_shape(row),
    )
    return use, notes


def _unnamed_notes(stage: Stage, name: str, block_m: int, position: int | None) -> Iterator[str]:
    if name:
        yield f"stage {stage}: AITER's module has no {name}; it warns and takes block_m {block_m}"
    if position is None:
        yield f"stage {stage}: no instance for block_m {block_m}; AITER raises"


def _position(family: Family, features: ModuleKey, stage: Stage, name: str) -> int | None:
    for position, facts in enumerate(family.instances):
        if facts.stage == stage and name == identity.instance_name(
            family, features, stage, facts.tile
        ):
            return position
    return None


def _heuristic(entry: Entry, features: ModuleKey) -> Verdict:
    """An untuned shape: wherever one of the AITER versions comes to CK2stages, FlyDSL or not."""
    shape = _shape(entry.row)
    uses = heuristic_uses(entry.where, features, shape, (shape.tokens, shape.tokens))
    reached = {use.stage for use in uses}
    other = list(routing.routes(features, shape, (shape.tokens, shape.tokens)))[-1]
    stages = (
        "ck2stages" if 1 in reached else other.stage1,
        "ck2stages" if 2 in reached else other.stage2,  # noqa: PLR2004
    )
    notes = [
        f"stage {use.stage}: no instance for block_m {use.block_m}; AITER raises"
        for use in uses
        if use.position is None
    ]
    return _verdict(entry, stages, notes, uses)


def _shape(row: Row) -> routing.Shape:
    return routing.Shape(
        tokens=row.token,
        model_dim=row.model_dim,
        inter_dim=row.inter_dim,
        experts=row.expert,
        topk=row.topk,
    )


def heuristic_uses(
    where: str, features: ModuleKey, shape: routing.Shape, tokens: tuple[int, int]
) -> tuple[Use, ...]:
    """What AITER's heuristic asks of CK2stages for a shape within a range of tokens.

    ``features.splitk`` does not count, the heuristic decides it; of calls that differ in the number
    of tokens alone the one with the fewest is given.
    """
    found: dict[tuple[ModuleKey, Stage, int], Use] = {}
    for padded in routing.padded_counts(*tokens):
        at = dataclasses.replace(shape, tokens=padded)
        for route in routing.routes(features, at, (padded, padded)):
            for use in _route_uses(where, features, at, route):
                found.setdefault((use.features, use.stage, use.block_m), use)
    return tuple(found.values())


def _route_uses(
    where: str, features: ModuleKey, shape: routing.Shape, route: routing.Route
) -> Iterator[Use]:
    for stage in STAGES:
        if route.backend(stage) != "ck2stages":
            continue
        splits = routing.takes_split_k(features.quant, stage, route.split_k)
        own = dataclasses.replace(features, splitk=splits)
        family = find_family(own)
        position = None
        if family is not None:
            position = rules.heuristic_choice(family, stage, route.block_m, shape.inter_dim)
        yield Use(
            where=where,
            stage=stage,
            features=own,
            family=family,
            position=position,
            named=False,
            block_m=route.block_m,
            shape=shape,
        )
