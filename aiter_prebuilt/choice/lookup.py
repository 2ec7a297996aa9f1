"""The row of AITER's tuned tables that answers a call, as each generation looks it up.

``aiter/jit/core.py`` (AITER_CONFIG) says which files count, ``aiter/fused_moe.py``
(get_2stage_cfgs) by which columns a row is found and which rows are passed by.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiter_prebuilt import target
from aiter_prebuilt.call import ModuleKey, Shape
from aiter_prebuilt.choice import tuned
from aiter_prebuilt.choice.heuristic import padded_tokens
from aiter_prebuilt.choice.routing import operands
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.choice.tuned import FALLBACK, Row
from aiter_prebuilt.generations import Generation
from aiter_prebuilt.kinds import ACTIVATIONS, QUANTISATIONS, dtypes
from aiter_prebuilt.values import value_class

_FEW_BLOCKSCALE = 128
"""Tokens times top-k, up to which rows for block scales are passed by (v0.1.10 to v0.1.12)."""


@value_class(frozen=True, kw_only=True)
class Found:
    """A row and the table that has it."""

    row: Row
    table: str


@value_class(frozen=True, kw_only=True)
class Looked:
    """What a look-up came to."""

    found: Found | None
    """The row that AITER takes; None: its heuristic decides."""
    hit: bool
    """Whether some row answers the batch, taken or not: else AITER tunes it, if it is asked to."""
    problem: str = ""
    """Why AITER cannot read any table; it raises then."""


@value_class(frozen=True, kw_only=True)
class Tables:
    """The rows that can answer calls of one generation on one GPU; of equal ones AITER's choice."""

    own: Mapping[tuple[Any, ...], Found]
    """By all that a row is looked up with."""
    any_activation: Mapping[tuple[Any, ...], Found]
    """The same without the activation."""
    fallback: Mapping[tuple[Any, ...], Found]
    """The rows that stand in where FlyDSL is missing."""
    fallback_any: Mapping[tuple[Any, ...], Found]
    problem: str = ""
    """Why AITER cannot read any table; it raises in every call then."""


def installed(configs: Path) -> tuple[Path, ...]:
    """Return AITER's own tables (``aiter/configs``), its general one first."""
    own = sorted((configs / "model_configs").glob("*tuned_fmoe*"))
    return (configs / "tuned_fmoe.csv", *(path for path in own if "untuned" not in path.name))


@functools.lru_cache(maxsize=8)
def read(paths: tuple[Path, ...], generation: Generation, cu_count: int) -> Tables:
    """Return the rows of some tables for a generation and a number of compute units.

    Of several files those that are missing do not count; a row that cannot be understood is left
    out.
    """
    raw, missing = _rows(paths)
    problem = "; ".join(missing) if len(missing) == len(paths) else ""
    if generation.row_activation == "exact" and len(paths) == 1:
        problem = problem or _repeated(raw, generation)
    usable = [each for each in raw if _counts(each.row, generation, cu_count)]
    rows = _unique(usable, merged=len(paths) > 1)
    main = [each for each in rows if _is_main(each.row.tag, generation.row_tags)]
    stand_in = [each for each in rows if each.row.tag == FALLBACK]
    return Tables(
        own=_first(main, _key),
        any_activation=_first(main, lambda row: _blind(_key(row))),
        fallback=_first(stand_in, _key),
        fallback_any=_first(stand_in, lambda row: _blind(_key(row))),
        problem=problem,
    )


def find(
    tables: Tables, features: ModuleKey, shape: Shape, tokens: int, rules: Rules
) -> Found | None:
    """Return the row that AITER takes for a batch, or None: its heuristic decides."""
    return look(tables, features, shape, tokens, rules).found


def look(tables: Tables, features: ModuleKey, shape: Shape, tokens: int, rules: Rules) -> Looked:
    """Return the row that AITER takes for a batch, and whether there is any for it."""
    generation = rules.generation
    padded = padded_tokens(tokens, generation.tiers)
    nothing = Looked(found=None, hit=False, problem=tables.problem)
    if not generation.few_tokens_blockscale and _is_small_blockscale(features, shape, padded):
        return nothing
    seen = operands(features, tokens, rules)
    lower = tuple(tier for tier in reversed(generation.tiers) if tier < padded)
    for count in (padded, *(lower if generation.lower_tiers else ())):
        found = _at(tables, (count, shape, *_words(seen)), generation.row_activation)
        if found is not None:
            taken = _usable(found, tables, (padded, shape, *_words(seen)), rules)
            return Looked(found=taken, hit=True, problem=tables.problem)
    return nothing


def _usable(found: Found, tables: Tables, key: tuple[Any, ...], rules: Rules) -> Found | None:
    """The row, or what stands in for one of FlyDSL's where FlyDSL is missing."""
    how = rules.generation.without_flydsl
    names = (found.row.kernel_1, found.row.kernel_2)
    if how == "as-is" or rules.flydsl or not any(name.startswith("flydsl_") for name in names):
        return found
    if how == "fallback":
        return tables.fallback.get(key)
    return tables.fallback_any.get(_blind(key))


@functools.lru_cache(maxsize=4)
def _rows(paths: tuple[Path, ...]) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    rows: list[Found] = []
    missing: list[str] = []
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows += _understood(csv.DictReader(file, restval=""), path.name)
        except (OSError, ValueError, csv.Error) as error:
            missing.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    return tuple(rows), tuple(missing)


def _repeated(rows: Iterable[Found], generation: Generation) -> str:
    """Why an AITER that looks rows up by one index cannot use a table: two rows of equal keys."""
    seen: set[tuple[Any, ...]] = set()
    for each in rows:
        if not _is_main(each.row.tag, generation.row_tags):
            continue
        key = (each.row.cu_num, each.row.use_g1u1, *_key(each.row))
        if key in seen:
            tokens = each.row.tokens
            return f"{each.table} has two rows for {each.row.shape} with {tokens} tokens"
        seen.add(key)
    return ""


def _counts(row: Row, generation: Generation, cu_count: int) -> bool:
    own = target.load().gfx
    gfx = row.gfx or tuned.GFX_OF_CU_NUM.get(row.cu_num, own)
    return row.cu_num == cu_count and row.use_g1u1 and (gfx == own or not generation.row_gfx)


def _unique(rows: Iterable[Found], *, merged: bool) -> tuple[Found, ...]:
    """Of equal rows the fastest where tables are merged, else the first; the order stays."""
    best: dict[tuple[Any, ...], Found] = {}
    for each in rows:
        key = (*_key(each.row), each.row.tag)
        known = best.get(key)
        if known is None or (merged and each.row.us < known.row.us):
            best[key] = each
    return tuple(best.values())


def _first(
    rows: Iterable[Found], key: Callable[[Row], tuple[Any, ...]]
) -> dict[tuple[Any, ...], Found]:
    found: dict[tuple[Any, ...], Found] = {}
    for each in rows:
        found.setdefault(key(each.row), each)
    return found


def _at(tables: Tables, key: tuple[Any, ...], activation: str) -> Found | None:
    found = None if activation == "any" else tables.own.get(key)
    if found is None and activation != "exact":
        found = tables.any_activation.get(_blind(key))
    return found


def _is_main(tag: str, counted: str) -> bool:
    return counted == "all" or not tag or (counted == "not-fallback" and tag != FALLBACK)


def _is_small_blockscale(features: ModuleKey, shape: Shape, padded: int) -> bool:
    few = padded * shape.topk <= _FEW_BLOCKSCALE
    kind = (features.a_dtype, features.b_dtype, features.c_dtype, features.activation)
    quant = QUANTISATIONS.get(features.quant)
    block = quant is not None and quant.module == "per_1x128"
    return few and block and kind == ("f8", "f8", "b16", "silu")


def _key(row: Row) -> tuple[Any, ...]:
    """What a row answers; the activation last, so that :func:`_blind` can leave it out."""
    return (
        row.tokens, row.shape, row.dtype, row.q_dtype_a, row.q_dtype_w, row.q_type,
        row.doweight_stage1, row.act_type,
    )  # fmt: skip


def _blind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return key[:-1]


def _words(features: ModuleKey) -> tuple[Any, ...]:
    """The features in the words of the tables, as :func:`_key` has them."""
    known, quant = dtypes(), QUANTISATIONS.get(features.quant)
    module = next(
        (each for each in QUANTISATIONS.values() if quant and each.name == quant.module), None
    )
    activation = ACTIVATIONS.get(features.activation)
    a, b, c = (
        f"torch.{known[name].torch}" if name in known else "?"
        for name in (features.a_dtype, features.b_dtype, features.c_dtype)
    )
    return (
        c,
        a,
        b,
        f"QuantType.{module.aiter if module else '?'}",
        features.routed_weight_stage == 1,
        f"ActivationType.{activation.aiter if activation else '?'}",
    )


def _understood(cells: Iterable[Mapping[str, str]], table: str) -> Iterator[Found]:
    for each in cells:
        try:
            yield Found(row=tuned.parse(each), table=table)
        except tuned.RowError:
            continue
