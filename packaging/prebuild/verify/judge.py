"""Compares what a kernel wrote with the reference, element by element."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt

from prebuild.gfx950.memory import Allocation
from prebuild.verify.reference import Expected, sum_bound

F64 = npt.NDArray[np.float64]
_TYPES = {"bf16": ml_dtypes.bfloat16, "f16": np.float16, "f32": np.float32}


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """The first element that is wrong."""

    index: tuple[int, ...]
    """(token, slot, column) in stage 1, (token, column) in stage 2."""
    found: float
    expected: float
    bound: float
    undefined: bool
    """Nothing that was defined reached it."""
    writer: int
    """Id of the wave that wrote it last; -1 where none did."""
    where: str
    """``value``, or ``addend`` where one contribution to a sum is wrong."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Output against reference."""

    elements: int
    wrong: int
    undefined: int
    ratio: float
    """Largest error over its bound, of what is defined."""
    max_error: float
    first: Wrong | None


def judge_values(out: Allocation, expected: Expected, kind: str) -> Judgement:
    """Judge stage 1: every (token, slot) row is written once."""
    return _judge(out, expected.value, expected.bound, kind)


def judge_sums(out: Allocation, expected: Expected, kind: str) -> Judgement:
    """Judge stage 2, or a split K: the sums, then every single addend, whatever their order was."""
    value, bound = sum_bound(expected)
    whole = _judge(out, value, bound, kind)
    return whole if whole.first is not None else _with_addends(out, expected, kind, whole)


def _judge(out: Allocation, value: F64, bound: F64, kind: str) -> Judgement:
    count, width = value.size, _width(kind)
    found = out.data[: width * count].view(_TYPES[kind]).astype(np.float64).reshape(value.shape)
    marks = out.shadow[: width * count].reshape(*value.shape, width)
    undefined: npt.NDArray[np.bool_] = (marks != 0).any(axis=-1)
    error = _distance(found, value)
    good = _within(error, bound) & ~undefined
    ratio = np.where(undefined, 0.0, _ratio(error, bound))
    first = None
    if not good.all():
        index = np.unravel_index(int(np.argmin(good)), good.shape)
        first = Wrong(
            index=tuple(int(part) for part in index),
            found=float(found[index]),
            expected=float(value[index]),
            bound=float(bound[index]),
            undefined=bool(undefined[index]),
            writer=int(out.writer[np.ravel_multi_index(index, good.shape) * width // 4]),
            where="value",
        )
    return Judgement(
        elements=count,
        wrong=int((~good).sum()),
        undefined=int(undefined.sum()),
        ratio=float(ratio.max()),
        max_error=float(error.max()),
        first=first,
    )


def _distance(found: F64, value: F64) -> F64:
    """Return how far they are apart: 0 for two NaN or the same infinity, else inf beside either."""
    with np.errstate(invalid="ignore"):
        error = np.abs(found - value)
    same = (found == value) | (np.isnan(found) & np.isnan(value))
    return np.where(same, 0.0, np.nan_to_num(error, nan=np.inf, posinf=np.inf))


def _within(error: F64, bound: F64) -> npt.NDArray[np.bool_]:
    within: npt.NDArray[np.bool_] = error <= bound
    return within


def _ratio(error: F64, bound: F64) -> F64:
    """Return the error as a share of its bound; 0 where there is no error or everything goes."""
    free = (error == 0) | np.isinf(bound)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(free, 0.0, error / bound)


def _with_addends(out: Allocation, expected: Expected, kind: str, whole: Judgement) -> Judgement:
    """Judge each addend: per element one a slot or part, each near one of the reference's.

    Sorting pairs them: if any pairing keeps every difference within a tolerance, the sorted one
    does.  The tolerance is the largest of the element's slots.
    """
    tokens, topk, columns = expected.value.shape
    addends, counts = _addends(out, tokens * columns, topk, kind)
    want = np.sort(expected.value.transpose(0, 2, 1).reshape(-1, topk), axis=1)
    bound = expected.bound.transpose(0, 2, 1).reshape(-1, topk).max(axis=1)
    got = np.sort(addends, axis=1)
    distance = _distance(got, want)
    error = distance.max(axis=1)
    good = (counts == topk) & _within(error, bound)
    ratio = max(whole.ratio, float(_ratio(error, bound).max()))
    first = None
    if not good.all():
        at = int(np.argmin(good))
        worst = int(np.argmax(distance[at]))
        first = Wrong(
            index=(at // columns, at % columns),
            found=float(got[at, worst]),
            expected=float(want[at, worst]),
            bound=float(bound[at]),
            undefined=False,
            writer=int(out.writer[at * _width(kind) // 4]),
            where=f"addend ({int(counts[at])} of {topk} added)",
        )
    return Judgement(
        elements=whole.elements,
        wrong=int((~good).sum()),
        undefined=whole.undefined,
        ratio=ratio,
        max_error=whole.max_error,
        first=first,
    )


def _addends(
    out: Allocation, elements: int, topk: int, kind: str
) -> tuple[F64, npt.NDArray[np.int64]]:
    """Return (elements, topk) addends, NaN where one is missing, and how many there were."""
    log = out.atomics
    if not log.addresses:
        return np.full((elements, topk), np.nan), np.zeros(elements, np.int64)
    offsets = np.concatenate(log.addresses)
    added = np.concatenate(log.values).view(_TYPES[kind]).astype(np.float64)
    width = _width(kind)
    index = (offsets[:, None] // width + np.arange(4 // width)).reshape(-1)
    order = np.argsort(index, kind="stable")
    index, added = index[order], added[order]
    rank = np.arange(index.size) - np.searchsorted(index, index)
    counts = np.bincount(index, minlength=elements)
    kept = rank < topk
    addends = np.full((elements, topk), np.nan)
    addends[index[kept], rank[kept]] = added[kept]
    return addends, counts


def _width(kind: str) -> int:
    """Bytes of an element; an atomic addition has four of them."""
    return int(np.dtype(_TYPES[kind]).itemsize)
