"""Read ``families/*.toml`` into :class:`prebuild.model.Family`; a wrong key names its full path."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aiter_prebuilt.manifest import ModuleKey, Reach
from prebuild.errors import ProblemsError
from prebuild.model import Family, InstanceFacts, Stage, Tile, Unavailable

Positive = Annotated[int, Field(gt=0)]
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


class _Row(_Strict):
    tile: tuple[Positive, Positive, Positive, Positive]
    waves: tuple[Positive, Positive]
    pipeline: Literal[1, 3]
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
    rule: str
    reason: str


class _Table(_Strict):
    name: str
    ck_header: str
    header: str
    template: str
    mfma: dict[str, list[str]]
    features: _Features
    k: _K
    kernels: dict[Pipeline, str]
    element_ops: dict[Literal["stage1", "stage1_splitk", "stage2"], str]
    stage1: list[_Row]
    stage2: list[_Row]
    unavailable: list[_Unavailable] = []


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
        mfma={dtype: tuple(names) for dtype, names in table.mfma.items()},
        **{name: tuple(value) for name, value in table.features.model_dump().items()},
        values_per_element=table.k.values_per_element,
        prefetch_stages={str(name): value for name, value in table.k.prefetch_stages.items()},
        tails={str(name): value for name, value in table.k.tails.items()},
        kernels={str(name): value for name, value in table.kernels.items()},
        element_ops={str(name): value for name, value in table.element_ops.items()},
        unavailable=tuple(Unavailable(**entry.model_dump()) for entry in table.unavailable),
        instances=(*_rows(1, table.stage1), *_rows(2, table.stage2)),
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


def _rows(stage: Stage, rows: list[_Row]) -> tuple[InstanceFacts, ...]:
    return tuple(
        InstanceFacts(
            stage=stage,
            tile=Tile(
                block_size=row.tile[0],
                m=row.tile[1],
                n=row.tile[2],
                k=row.tile[3],
                m_waves=row.waves[0],
                n_waves=row.waves[1],
                pipeline=row.pipeline,
            ),
            reached_by=tuple(Reach(**reach.model_dump()) for reach in row.reached_by),
        )
        for row in rows
    )
