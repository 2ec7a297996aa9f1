"""Which module, instance and kernel a call would take, and whether AITER would compile for it."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from aiter_prebuilt.choice import dispatch, routing, tuned
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import COVERAGES, Instance, Kernel, Module, ModuleKey


class ShapeError(PrebuiltError):
    """A shape is incomplete or not a number; the message says which."""


@value_class(frozen=True, kw_only=True)
class Shape:
    """One MoE layer call of a server."""

    tokens: int
    model_dim: int
    inter_dim: int
    """Of one GPU: the model's size divided by the tensor-parallel size."""
    experts: int
    topk: int
    block_m: int | None = None
    """None: as AITER chooses."""
    kernel_1: str = ""
    kernel_2: str = ""


@value_class(frozen=True, kw_only=True)
class Answer:
    """What one stage of one call takes."""

    shape: Shape
    stage: Literal[1, 2]
    stock_name: str
    module: str | None
    """Own name of the module that takes the call, None where AITER compiles (or needs none)."""
    coverage: str | None
    block_m: int
    choice: str
    """``heuristic``, ``given`` or the tuned table's name."""
    instance: str | None
    kernel: str | None
    """The kernel's symbol."""
    main_loop: bool | None
    tail: str | None
    compiles: bool
    """Whether AITER would compile the module, if this host takes the wheel's."""
    seconds_saved: float | None
    """CPU seconds that AITER's own build of this module took where it was measured."""
    note: str


@value_class(frozen=True, kw_only=True)
class AiterAt:
    """The AITER that is asked about."""

    root: Path | None
    """Its package folder, for the tuned tables; None: answer without them."""
    version: routing.AiterVersion = routing.AITER_VERSIONS[-1]
    """Whose rules apply."""
    flydsl: bool = False
    """Whether the FlyDSL package is installed, whose kernels AITER prefers."""


@value_class(frozen=True, kw_only=True)
class _Choice:
    """What AITER decides before it calls a stage of CK2stages."""

    block_m: int
    kernel_name: str
    by: str
    features: ModuleKey
    elsewhere: str = ""
    """Why the call is none of CK2stages, empty where it is."""


def explain(
    shapes: Iterable[Shape],
    features: ModuleKey,
    entries: tuple[store.Entry, ...],
    aiter_at: AiterAt,
) -> tuple[Answer, ...]:
    """Answer for both stages of every shape; ``entries`` are the installed modules."""
    modules = sorted((e.module for e in entries), key=lambda m: COVERAGES.index(m.coverage))
    return tuple(
        _answer(shape, stage, _choose(shape, stage, features, aiter_at, row), modules)
        for shape in shapes
        for row in [_row(shape, features, aiter_at.root)]
        for stage in (1, 2)
    )


def _row(shape: Shape, features: ModuleKey, root: Path | None) -> tuned.Row | None:
    """Look the padded token count up, then the tiers below it, as AITER does for many tokens."""
    if root is None or shape.block_m is not None or shape.kernel_1 or shape.kernel_2:
        return None
    padded = dispatch.padded_tokens(shape.tokens)
    for tokens in (padded, *(tier for tier in reversed(dispatch.TIERS) if tier < padded)):
        key = {
            "token": tokens,
            "model_dim": shape.model_dim,
            "inter_dim": shape.inter_dim,
            "expert": shape.experts,
            "topk": shape.topk,
        }
        row = tuned.lookup(root, features, key, dispatch.CU_COUNT_GFX950)
        if row is not None:
            return row
    return None


def _answer(shape: Shape, stage: Literal[1, 2], choice: _Choice, installed: list[Module]) -> Answer:
    name = choice.features.stock_name
    modules = [module for module in installed if module.stock_name == name]
    block_m, kernel_name = choice.block_m, choice.kernel_name
    k = shape.model_dim if stage == 1 else shape.inter_dim
    blank = Answer(
        shape=shape,
        stage=stage,
        stock_name=name,
        module=None,
        coverage=None,
        block_m=block_m,
        choice=choice.by,
        instance=None,
        kernel=None,
        main_loop=None,
        tail=None,
        compiles=False,
        seconds_saved=None,
        note="",
    )
    if choice.elsewhere:
        return dataclasses.replace(blank, note=choice.elsewhere)
    for module in modules:
        if kernel_name in module.names_left_out:
            continue  # handed on; a name that AITER does not know either leaves it to block_m
        instance = dispatch.select_instance(
            module.instances, stage, block_m, shape.inter_dim, kernel_name
        )
        if instance is not None and (kernel := dispatch.select_kernel(instance, k)) is not None:
            return _covered(blank, module, instance, kernel)
    note = "no installed module covers this call" if modules else "no wheel has this module"
    return dataclasses.replace(blank, compiles=True, note=note)


def _choose(
    shape: Shape,
    stage: Literal[1, 2],
    features: ModuleKey,
    aiter_at: AiterAt,
    row: tuned.Row | None,
) -> _Choice:
    kernel_name = shape.kernel_1 if stage == 1 else shape.kernel_2
    if row is not None:
        return _tuned_choice(stage, features, row)
    route = routing.heuristic_route(
        features, _sizes(shape), version=aiter_at.version, flydsl=aiter_at.flydsl
    )
    block_m = shape.block_m or route.block_m
    if shape.block_m is not None or kernel_name:
        return _Choice(block_m=block_m, kernel_name=kernel_name, by="given", features=features)
    backend = route.backend(stage)
    splits = routing.takes_split_k(features.quant, stage, route.split_k)
    return _Choice(
        block_m=block_m,
        kernel_name="",
        by="heuristic",
        features=dataclasses.replace(features, splitk=splits),
        elsewhere="" if backend == "ck2stages" else f"AITER takes {backend} ({route.rule})",
    )


def _tuned_choice(stage: Literal[1, 2], features: ModuleKey, row: tuned.Row) -> _Choice:
    name = row.kernel_1 if stage == 1 or row.one_stage else row.kernel_2
    other = row.one_stage or (name and not name.startswith(tuned.CK_PREFIX))
    elsewhere = f"the tuned table takes {name[:40]}, which is no CK2stages kernel"
    splits = routing.takes_split_k(features.quant, stage, row.split_k, name)
    return _Choice(
        block_m=row.block_m,
        kernel_name=name,
        by=row.table,
        features=dataclasses.replace(features, splitk=splits),
        elsewhere=elsewhere if other else "",
    )


def _sizes(shape: Shape) -> routing.Shape:
    return routing.Shape(
        tokens=shape.tokens,
        model_dim=shape.model_dim,
        inter_dim=shape.inter_dim,
        experts=shape.experts,
        topk=shape.topk,
    )


def _covered(blank: Answer, module: Module, instance: Instance, kernel: Kernel) -> Answer:
    return dataclasses.replace(
        blank,
        module=module.name,
        coverage=module.coverage,
        instance=instance.name,
        kernel=kernel.symbol,
        main_loop=kernel.main_loop,
        tail=kernel.tail,
        seconds_saved=module.aiter_seconds,
    )


def read_shapes(path: Path, defaults: Mapping[str, int]) -> list[Shape]:
    """Read a file of shapes: CSV with a header, or JSON (a list of objects, or one a line).

    Raises ShapeError that names the row and the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
    except (OSError, ValueError) as error:
        raise ShapeError(f"{path}: {error}") from error
    if not rows:
        raise ShapeError(f"{path} holds no shapes")
    return [shape_of({**defaults, **row}, f"{path}, shape {i + 1}") for i, row in enumerate(rows)]


def shape_of(raw: Mapping[str, Any], where: str) -> Shape:
    """Build a shape from loosely typed values; unknown fields are an error."""
    known = {field.name: field for field in dataclasses.fields(Shape)}
    unknown = sorted(set(raw) - set(known))
    missing = [
        name
        for name, field in known.items()
        if field.default is dataclasses.MISSING and raw.get(name) in (None, "")
    ]
    wrong = [f"{name} is missing" for name in missing]
    wrong += [f"{name} is no field of a shape" for name in unknown]
    if wrong:
        raise ShapeError(f"{where}: {', '.join(wrong)}")
    values: dict[str, Any] = {}
    for name, value in raw.items():
        if value not in (None, ""):
            values[name] = value if name.startswith("kernel_") else _number(value, name, where)
    return Shape(**values)


def _number(value: Any, name: str, where: str) -> int:  # noqa: ANN401  from a file
    text = str(value).strip()
    if not text.isdigit() or int(text) < 1:
        raise ShapeError(f"{where}: {name} is {value!r}, expected a whole number of 1 or more")
    return int(text)


def _json_rows(text: str) -> list[dict[str, Any]]:
    try:
        raw = json.loads(text)
    except ValueError:
        raw = [json.loads(line) for line in text.splitlines() if line.strip()]
    rows = raw if isinstance(raw, list) else [raw]
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError("expected objects with the fields of a shape")
    return rows


def _csv_rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(text.splitlines()))
