"""What a row asks of CK2stages: for each stage the module, the instance and the sizes.

The rules are AITER's (``aiter/fused_moe.py``, get_2stage_cfgs; ``aiter/ops/moe_op.py``,
cmdGenFunc_ck_moe_stage; ``gemm_moe_ck2stages.cu``, moe_dispatch).  A row without kernel names, or
of an untuned table, is answered by the heuristic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aiter_prebuilt import target
from aiter_prebuilt.call import STAGES, Call, ModuleKey, Shape, Stage
from aiter_prebuilt.choice import routing
from aiter_prebuilt.choice.dispatch import PREFIX, Choice, choose
from aiter_prebuilt.choice.heuristic import takes_split_k
from aiter_prebuilt.choice.rules import every_rules
from aiter_prebuilt.choice.tuned import FALLBACK, Row
from prebuild.core.model import InstanceFacts
from prebuild.families import Table, find_family, find_table
from prebuild.tuned.rows import Entry

_BACKENDS = (
    (PREFIX, "ck2stages"),
    ("flydsl_", "flydsl"),
    ("cktile_", "cktile"),
    ("opus_", "opus"),
    ("swiglu_mxfp4_", "cktile"),
    ("_ZN", "asm"),
)


@dataclass(frozen=True, kw_only=True)
class Use:
    """A call that CK2stages answers, where it is from, and what it takes of AITER's module."""

    where: str
    call: Call
    table: Table | None
    """None: this project has no family for the features."""
    choice: Choice | None
    """None as well."""

    @property
    def module(self) -> str:
        """AITER's name of the module."""
        return self.call.features.stock_name

    @property
    def named(self) -> bool:
        """Whether the row names the instance; else the heuristic takes it at ``block_m``."""
        return self.choice is not None and self.choice.named

    @property
    def instance(self) -> str | None:
        """The instance's name; None where AITER's own module has none either."""
        found = self.choice and self.choice.instance
        return found.name if found else None

    @property
    def facts(self) -> InstanceFacts | None:
        """The instance's row in its family's table."""
        found = self.choice and self.choice.instance
        return self.table.facts(found) if found and self.table else None


def use_of(where: str, call: Call) -> Use:
    """Return what a call takes."""
    table = find_table(call.features)
    choice = choose(table.instances, call) if table is not None else None
    return Use(where=where, call=call, table=table, choice=choice)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What became of a row: the stages that reach CK2stages, and lines on what is odd."""

    entry: Entry
    uses: tuple[Use, ...]
    stages: tuple[str, str]
    """Back end of each stage; ``other gpu`` where the row is for another one."""
    notes: tuple[str, ...]


def read(entries: Iterable[Entry]) -> tuple[Reading, ...]:
    """Return what every row asks for, in order."""
    return tuple(_read(entry) for entry in entries)


def _read(entry: Entry) -> Reading:
    row = entry.row
    if entry.kind == "tuned" and row.gpu != target.load().gfx:
        return _reading(entry, ("other gpu", "other gpu"), [f"is for {row.gpu}"])
    features = _features(row)
    if isinstance(features, str):
        return _reading(entry, _named_backends(row), [features])
    if entry.kind == "untuned":
        if find_family(features) is None:
            return _reading(entry, ("none", "none"), [f"no family is {features.stock_name}"])
        return _heuristic(entry, features)
    backends = _named_backends(row)
    notes = [] if row.tag in ("", FALLBACK) else [
        f"has the tag {row.tag}: 9bab8388 leaves the row out"
    ]  # fmt: skip
    uses = []
    for stage in STAGES:
        if backends[stage - 1] == "ck2stages":
            use, note = _named_use(entry, features, stage)
            uses.append(use)
            notes += note
    return _reading(entry, backends, notes, uses)


def _reading(
    entry: Entry, stages: tuple[str, str], notes: Iterable[str], uses: Iterable[Use] = ()
) -> Reading:
    lines = tuple(f"{entry.where}: {note}" for note in notes)
    return Reading(entry=entry, uses=tuple(uses), stages=stages, notes=lines)


def _features(row: Row) -> ModuleKey | str:
    """The features of the module that the row's shape takes, or why there is none."""
    if row.q_dtype_w == "torch.int4" and row.q_type == "QuantType.per_1x32":
        return "int4 weights with group scales are FlyDSL's, not CK2stages'"
    features = row.features(preshuffle=True)
    if features is None:
        found = f"{row.q_dtype_a}, {row.q_dtype_w}, {row.dtype} with {row.q_type}"
        return f"CK2stages has no kernels for {found} on {target.load().gfx}"
    return features


def _named_backends(row: Row) -> tuple[str, str]:
    if row.one_stage:
        return "one-stage", "one-stage"
    return _backend(row, 1), _backend(row, 2)


def _backend(row: Row, stage: Stage) -> str:
    kernel = row.kernel(stage)
    for prefix, backend in _BACKENDS:
        if kernel.startswith(prefix):
            return backend
    if kernel:
        return "other"
    # No name: AITER's stage 2 is CK2stages'; its stage 1 is assembly for int8 weights.
    return "asm" if stage == 1 and row.q_dtype_w == "torch.int8" else "ck2stages"


def _named_use(entry: Entry, features: ModuleKey, stage: Stage) -> tuple[Use, list[str]]:
    use = use_of(entry.where, _call(entry.row, features, stage))
    if use.choice is None:
        return use, [f"stage {stage}: no family is {use.module}"]
    return use, list(_unnamed_notes(use.call, use.choice))


def _call(row: Row, features: ModuleKey, stage: Stage) -> Call:
    """The call that the newest AITER makes by a row, where it lets the row decide."""
    name = row.kernel(stage)
    rules = list(every_rules())[-1]
    splits = stage == 1 and takes_split_k(
        features.quant, row.split_k, row.shape.model_dim, rules, name
    )
    return Call(
        features=dataclasses.replace(features, splitk=splits),
        shape=row.shape,
        stage=stage,
        tokens=row.tokens,
        block_m=row.block_m,
        kernel_name=name,
        parts=row.split_k if splits else 1,
    )


def _unnamed_notes(call: Call, choice: Choice) -> Iterator[str]:
    if choice.name_unknown:
        taken = f"AITER's module has no {call.kernel_name}; it warns and takes block_m"
        yield f"stage {call.stage}: {taken} {call.block_m}"
    if choice.instance is None:
        yield f"stage {call.stage}: no instance for block_m {call.block_m}; AITER raises"


def _heuristic(entry: Entry, features: ModuleKey) -> Reading:
    """An untuned shape: wherever one of the AITER versions comes to CK2stages, FlyDSL or not."""
    shape, tokens = entry.row.shape, (entry.row.tokens, entry.row.tokens)
    uses = heuristic_uses(entry.where, features, shape, tokens)
    reached = {use.call.stage for use in uses}
    other = routing.route(features, shape, entry.row.tokens, list(every_rules())[-1])
    first, second = ("ck2stages" if s in reached else other.backend(s) for s in STAGES)
    notes = [note for use in uses if use.choice for note in _unnamed_notes(use.call, use.choice)]
    return _reading(entry, (first, second), notes, uses)


def heuristic_uses(
    where: str, features: ModuleKey, shape: Shape, tokens: tuple[int, int]
) -> tuple[Use, ...]:
    """What AITER's heuristic asks of CK2stages for a shape within a range of tokens."""
    return tuple(use_of(where, call) for call in routing.heuristic_calls(features, shape, tokens))
