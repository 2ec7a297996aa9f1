"""Read ``families/*.toml`` into ``Family`` values; an error names the wrong key by its path."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aiter_prebuilt.call import ModuleKey, Stage, Tail, Variant
from aiter_prebuilt.wheel.manifest import Instance, Instead, Reach
from prebuild.core import identity
from prebuild.core.errors import ProblemsError
from prebuild.core.model import Family, InstanceFacts, Tile, Unavailable, Wrong

Positive = Annotated[int, Field(gt=0)]
KernelName = Literal[
    "main_odd", "main_even", "main_full", "nomain_odd", "nomain_even", "nomain_full"
]
"""A kernel of an instance, as :func:`prebuild.core.identity.kernel_id` ends."""
Pipeline = Literal["v1", "v3"]


class FamilyError(ProblemsError):
    """A family's table does not hold what the reader needs."""

    exit_code = 3


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reach(_Strict):
    block_m: Positive
    inter_dim_min: int = 0
    inter_dim_max: int | None = None
    inter_dim_multiple_of: Positive = 1
    inter_dim_not_multiple_of: Positive | None = None


class _Instance(_Strict):
    tile: tuple[Positive, Positive, Positive, Positive]
    waves: tuple[Positive, Positive]
    pipeline: Literal[1, 3]


class _Row(_Instance):
    reached_by: list[_Reach] = []


class _Features(_Strict):
    dtypes: list[tuple[str, str, str]]
    quants: list[str]
    activations: list[str]
    preshuffle: list[bool]
    splitk: list[bool]


class _K(_Strict):
    values_per_element: Positive
    prefetch_stages: dict[Pipeline, Positive]
    tails: dict[Pipeline, Literal["parity", "full"]]


class _Unavailable(_Strict):
    feature: Literal["c_dtype", "quant", "activation", "preshuffle", "splitk"]
    value: str | bool
    unless: str
    rule: str
    reason: str


class _Wrong(_Instance):
    stage: Stage
    kernels: Annotated[list[KernelName], Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    instead: _Instance | None = None
    splitk: bool = False
    """Whether it is wrong where K is split alone."""


class _Table(_Strict):
    name: str
    ck_header: str
    header: str
    template: str
    features: _Features
    k: _K
    kernels: dict[Pipeline, str]
    element_ops: dict[Literal["stage1", "stage1_splitk", "stage2"], str]
    stage1: list[_Row]
    stage2: list[_Row]
    unavailable: list[_Unavailable] = []
    wrong: list[_Wrong] = []

    @model_validator(mode="after")
    def _wrong_kernels_are_there(self) -> _Table:
        problems = [
            f"wrong.{position}: {problem}"
            for position, entry in enumerate(self.wrong)
            for problem in _wrong_problems(self, entry)
        ]
        named = [
            (_tile_of(w), w.stage, w.splitk, kernel) for w in self.wrong for kernel in w.kernels
        ]
        if len(set(named)) < len(named):
            problems.append("wrong: a kernel stands there twice")
        if problems:
            raise ValueError("; ".join(problems))
        return self


@cache
def load_families() -> Mapping[str, Family]:
    """Return every family by name.

    Raises :class:`FamilyError` with all problems of all tables.
    """
    families: dict[str, Family] = {}
    problems: list[str] = []
    for file in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            try:
                family = parse_family(file.read_text())
                families[family.name] = family
            except (ValidationError, tomllib.TOMLDecodeError) as error:
                problems.append(f"{file.name}: {error}")
    if problems:
        raise FamilyError("the tables of families are wrong:", problems)
    return families


def parse_family(text: str) -> Family:
    """Read one table; raises pydantic's or tomllib's own error, which names the key."""
    table = _Table.model_validate(tomllib.loads(text))
    return Family(
        name=table.name,
        ck_header=table.ck_header,
        header=table.header,
        template=table.template,
        **{name: tuple(value) for name, value in table.features.model_dump().items()},
        values_per_element=table.k.values_per_element,
        prefetch_stages={str(name): value for name, value in table.k.prefetch_stages.items()},
        tails={str(name): value for name, value in table.k.tails.items()},
        kernels={str(name): value for name, value in table.kernels.items()},
        element_ops={str(name): value for name, value in table.element_ops.items()},
        unavailable=tuple(Unavailable(**entry.model_dump()) for entry in table.unavailable),
        instances=(*_rows(1, table.stage1, table.wrong), *_rows(2, table.stage2, table.wrong)),
    )


def find_family(features: ModuleKey) -> Family | None:
    """Return the family that holds the kernels of a module, None where there is none."""
    for family in load_families().values():
        if (
            (features.a_dtype, features.b_dtype, features.c_dtype) in family.dtypes
            and features.quant in family.quants
            and features.activation in family.activations
            and features.preshuffle in family.preshuffle
            and features.splitk in family.splitk
        ):
            return family
    return None


@dataclass(frozen=True, kw_only=True)
class Table:
    """AITER's module for some features: the instances of its family under their names."""

    family: Family
    instances: tuple[Instance, ...]
    """In the order of ``family.instances``, without kernels."""

    def facts(self, instance: Instance) -> InstanceFacts:
        """The row of the family's table that an instance is."""
        return self.family.instances[self.instances.index(instance)]


@cache
def find_table(features: ModuleKey) -> Table | None:
    """Return the table of AITER's module, None where no family has kernels for the features."""
    family = find_family(features)
    if family is None:
        return None
    if features.splitk:
        family = replace(family, instances=tuple(map(_split, family.instances)))
    return Table(
        family=family,
        instances=tuple(_instance(family, features, facts) for facts in family.instances),
    )


def _split(facts: InstanceFacts) -> InstanceFacts:
    """The same instance where K is split."""
    return replace(facts, wrong={**facts.wrong, **facts.wrong_split})


def _instance(family: Family, features: ModuleKey, facts: InstanceFacts) -> Instance:
    tile = facts.tile
    return Instance(
        name=identity.instance_name(family, features, facts.stage, tile),
        stage=facts.stage,
        block_m=tile.m,
        n_per_block=tile.n,
        k_per_block=tile.k * family.values_per_element,
        prefetch_stages=family.prefetch_stages[tile.version],
        tails=family.tails[tile.version],
        reached_by=facts.reached_by,
        instead=tuple(
            Instead(
                main_loop=main_loop,
                tail=tail,
                instance=identity.instance_name(family, features, facts.stage, wrong.instead),
                reason=wrong.reason,
            )
            for (main_loop, tail), wrong in facts.wrong.items()
            if wrong.instead is not None
        ),
    )


def _rows(stage: Stage, rows: list[_Row], wrong: list[_Wrong]) -> tuple[InstanceFacts, ...]:
    return tuple(
        InstanceFacts(
            stage=stage,
            tile=_tile_of(row),
            reached_by=tuple(Reach(**reach.model_dump()) for reach in row.reached_by),
            wrong=_wrong_kernels(stage, row, wrong, splitk=False),
            wrong_split=_wrong_kernels(stage, row, wrong, splitk=True),
        )
        for row in rows
    )


def _wrong_kernels(
    stage: Stage, row: _Row, wrong: list[_Wrong], *, splitk: bool
) -> Mapping[Variant, Wrong]:
    return {
        _variant(kernel): _wrong(entry)
        for entry in wrong
        if (entry.stage, _tile_of(entry), entry.splitk) == (stage, _tile_of(row), splitk)
        for kernel in entry.kernels
    }


def _tile_of(row: _Instance) -> Tile:
    return Tile(
        block_size=row.tile[0],
        m=row.tile[1],
        n=row.tile[2],
        k=row.tile[3],
        m_waves=row.waves[0],
        n_waves=row.waves[1],
        pipeline=row.pipeline,
    )


def _wrong(entry: _Wrong) -> Wrong:
    return Wrong(
        reason=entry.reason, instead=_tile_of(entry.instead) if entry.instead is not None else None
    )


def _variant(kernel: KernelName) -> Variant:
    loop, _, tail = kernel.partition("_")
    return loop == "main", cast("Tail", tail)


def _wrong_problems(table: _Table, entry: _Wrong) -> Iterator[str]:
    """A wrong kernel has to be one that the table has, or nothing would be kept out."""
    rows = table.stage1 if entry.stage == 1 else table.stage2
    if _tile_of(entry) not in map(_tile_of, rows):
        yield f"stage {entry.stage} has no instance {_tile_of(entry).name}"
        return
    pipeline: Pipeline = "v1" if entry.pipeline == 1 else "v3"
    whole = table.k.tails.get(pipeline) == "full"
    for kernel in entry.kernels:
        if kernel.endswith("_full") != whole:
            tails = "full" if whole else "odd and even"
            yield f"kernels: {kernel} is none of pipeline {pipeline}, whose tails are {tails}"
    if entry.splitk and not (entry.stage == 1 and any(table.features.splitk)):
        yield f"splitk: K of stage {entry.stage} is never split"
    if entry.instead is not None:
        yield from _instead_problems(table, entry, entry.instead)


def _instead_problems(table: _Table, entry: _Wrong, instead: _Instance) -> Iterator[str]:
    """What answers in a wrong kernel's place has to be right, and to mean the same for each K."""
    rows = table.stage1 if entry.stage == 1 else table.stage2
    name = _tile_of(instead).name
    if _tile_of(instead) not in map(_tile_of, rows):
        yield f"instead: stage {entry.stage} has no instance {name}"
    if any((w.stage, _tile_of(w)) == (entry.stage, _tile_of(instead)) for w in table.wrong):
        yield f"instead: {name} has wrong kernels itself"
    if entry.stage == 1 and any(table.features.splitk):
        yield "instead: of a split K a part decides which kernel runs, which no rule looks at"
    if instead.tile[1] != entry.tile[1]:
        yield f"instead: {name} takes blocks of {instead.tile[1]} rows, not of {entry.tile[1]}"
    if entry.tile[3] % instead.tile[3]:
        yield f"instead: {name} takes K in steps of {instead.tile[3]}, not of {entry.tile[3]}"
