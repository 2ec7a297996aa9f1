"""AITER's tuned tables: a row for a shape comes before the heuristic of :mod:`routing`.

A tuned table gives a block size and two kernel names for a shape; an untuned one lists shapes
alone.  The columns are those of ``aiter/configs`` at ``9bab8388`` and ``e4048607``
(``aiter/fused_moe.py``, get_2stage_cfgs).  Runtime and build side read rows with this code.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from aiter_prebuilt import target
from aiter_prebuilt.call import ModuleKey, Shape, Stage
from aiter_prebuilt.kinds import QUANTISATIONS, dtypes
from aiter_prebuilt.values import value_class

GFX_OF_CU_NUM = {80: "gfx942", 304: "gfx942"}
"""AITER's own backfill for tables without a gfx column (gfx_from_cu_num), beside the target's."""
FALLBACK = "flydsl_fallback"
"""Tag of rows that stand in where FlyDSL is missing."""

REQUIRED = (
    "token", "model_dim", "inter_dim", "expert", "topk", "act_type", "dtype", "q_dtype_a",
    "q_dtype_w", "q_type", "use_g1u1", "doweight_stage1",
)  # fmt: skip
"""Columns of every table."""
TUNED_ONLY = ("cu_num", "block_m", "kernelName1", "kernelName2")
"""Columns that a tuned table has besides."""

_NO_NAMES = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""What pandas, with which AITER reads tables, takes for a missing value; ``Null`` is a name."""
_FLAGS = {"0": False, "false": False, "1": True, "true": True}


class RowError(ValueError):
    """A row that cannot be understood; holds a line for each column at fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@value_class(frozen=True, kw_only=True)
class Row:
    """One row: sizes and choice as values, what it is for in AITER's own words."""

    tokens: int
    """The padded token count that the row answers."""
    shape: Shape
    act_type: str
    dtype: str
    q_dtype_a: str
    q_dtype_w: str
    q_type: str
    use_g1u1: bool
    doweight_stage1: bool
    cu_num: int
    gfx: str
    block_m: int
    split_k: int
    kernel_1: str
    kernel_2: str
    one_stage: bool
    """Whether one assembly kernel does the whole call; it is ``kernel_1`` then."""
    tag: str
    us: float
    """Microseconds that AITER measured; infinite where the row does not say."""

    @property
    def gpu(self) -> str:
        """The gfx column, else AITER's own guess from the number of compute units."""
        own = {target.load().cu_count: target.load().gfx}
        return self.gfx or {**GFX_OF_CU_NUM, **own}.get(self.cu_num, f"cu_num {self.cu_num}")

    def features(self, *, preshuffle: bool) -> ModuleKey | None:
        """Features of the module that the row's shape takes, None for a kind without modules.

        A row does not say whether K is split into a module of its own; a stage does
        (:meth:`call`).
        """
        names = {f"torch.{each.torch}": each.name for each in dtypes().values()}
        names["torch.int4"] = "i4"
        a, b, c = (names.get(text) for text in (self.q_dtype_a, self.q_dtype_w, self.dtype))
        quants = {f"QuantType.{each.aiter}": each.module for each in QUANTISATIONS.values()}
        quant = quants.get(self.q_type)
        if a is None or b is None or c is None or quant is None:
            return None
        return ModuleKey(
            a_dtype=a,
            b_dtype=b,
            c_dtype=c,
            preshuffle=preshuffle,
            activation=self.act_type.removeprefix("ActivationType.").lower(),
            quant=quant,
            routed_weight_stage=1 if self.doweight_stage1 else 2,
        )

    def kernel(self, stage: Stage) -> str:
        """The kernel that the row names for a stage, empty where it leaves it to the heuristic."""
        return self.kernel_1 if stage == 1 or self.one_stage else self.kernel_2

    def key(self) -> tuple[Any, ...]:
        """What AITER looks a row up by (_INDEX_COLS), and the tag that selects the table."""
        return (
            self.gpu, self.cu_num, self.tokens, self.shape, self.act_type, self.dtype,
            self.q_dtype_a, self.q_dtype_w, self.q_type, self.use_g1u1, self.doweight_stage1,
            self.tag,
        )  # fmt: skip


def parse(cells: Mapping[str, str]) -> Row:
    """Return a row from its cells; raises :class:`RowError` with every column at fault."""
    problems: list[str] = []

    def read(column: str, reader: Callable[[str], Any], expected: str) -> Any:  # noqa: ANN401
        text = str(cells.get(column) or "").strip()
        try:
            return reader(text)
        except ValueError:
            problems.append(f"{column}: found {text!r}, expected {expected}")

    def size(column: str) -> Any:  # noqa: ANN401
        return read(column, _size, "a whole number of 1 or more, of 31 bits")

    def whole(column: str) -> Any:  # noqa: ANN401
        return read(column, _whole, "a whole number")

    def flag(column: str) -> Any:  # noqa: ANN401
        return read(column, _flag, "0 or 1")

    def member(column: str, enum: str) -> Any:  # noqa: ANN401
        return read(column, functools.partial(_member, enum), f"a member of {enum}")

    values: dict[str, Any] = {
        "tokens": size("token"),
        "shape": {
            "model_dim": size("model_dim"),
            "inter_dim": size("inter_dim"),
            "experts": size("expert"),
            "topk": size("topk"),
        },
        "act_type": member("act_type", "ActivationType"),
        "q_type": member("q_type", "QuantType"),
        "use_g1u1": flag("use_g1u1"),
        "doweight_stage1": flag("doweight_stage1"),
        "one_stage": flag("run_1stage"),
        "cu_num": whole("cu_num"),
        "block_m": whole("block_m"),
        "split_k": whole("ksplit"),
    }
    if problems:
        raise RowError(problems)
    values["shape"] = Shape(**values["shape"])
    return Row(**values, **_texts(cells))


def _texts(cells: Mapping[str, str]) -> dict[str, Any]:
    """What no text can be wrong for."""
    plain = {name: str(cells.get(name) or "") for name in ("dtype", "q_dtype_a", "q_dtype_w")}
    gfx = _name(cells.get("gfx"))
    return {
        **plain,
        # AITER fills a missing gfx with 0 where it merges tables.
        "gfx": "" if gfx == "0" else gfx,
        "kernel_1": _name(cells.get("kernelName1")),
        "kernel_2": _name(cells.get("kernelName2")),
        "tag": _name(cells.get("_tag")),
        "us": _number(cells.get("us")),
    }


def _whole(text: str) -> int:
    """AITER's tables hold whole numbers as ``64``, ``64.0`` or nothing (0)."""
    if not text or text.lower() in ("nan", "none"):
        return 0
    return int(text.removesuffix(".0"))


def _size(text: str) -> int:
    value = _whole(text)
    if not 0 < value < 1 << 31:
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    value = _FLAGS.get(str(_whole(text)) if text.lower() not in _FLAGS else text.lower())
    if value is None:
        raise ValueError(text)
    return value


def _member(enum: str, text: str) -> str:
    if not text.startswith(f"{enum}.") or not text.removeprefix(f"{enum}.").isidentifier():
        raise ValueError(text)
    return text


def _name(value: str | None) -> str:
    text = str(value or "").strip()
    return "" if text in _NO_NAMES else text


def _number(text: str | None) -> float:
    try:
        value = float(text or "inf")
    except ValueError:
        return math.inf
    return math.inf if math.isnan(value) else value
