"""Read AITER's fused-MoE tables: every row becomes a value or a clear line, none is lost.

A tuned table gives a block size and two kernel names for a shape; an untuned one lists shapes
alone, which AITER's heuristic answers.  The columns are those of ``aiter/configs`` at
``9bab8388`` and ``e4048607`` (``aiter/fused_moe.py``, get_2stage_cfgs).
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from aiter_prebuilt import target
from prebuild.core.errors import ProblemsError, why

GFX_OF_CU_NUM = {80: "gfx942", 304: "gfx942", target.load().cu_count: target.load().gfx}
"""AITER's own backfill for tables without a gfx column (gfx_from_cu_num)."""

_DTYPES = {
    "torch.float4_e2m1fn_x2": "fp4x2",
    "torch.float8_e4m3fn": "f8",
    "torch.int8": "i8",
    "torch.int4": "i4",
    "torch.uint32": "i4",
    "torch.bfloat16": "b16",
    "torch.float16": "f16",
}
_QUANTS = {
    "QuantType.No": "no",
    "QuantType.per_Tensor": "per_tensor",
    "QuantType.per_Token": "per_token",
    "QuantType.per_1x32": "per_1x32",
    "QuantType.per_1x128": "per_1x128",
    "QuantType.per_128x128": "per_1x128",
}
_TUNED_ONLY = ("block_m", "kernelName1", "kernelName2")
_NO_NAMES = ("", "null", "nan", "none")


class TableError(ProblemsError):
    """Tables that cannot be read at all: no such file, no header, columns missing."""

    exit_code = 3


def _whole(value: object) -> str | int:
    """AITER's tables hold whole numbers as ``64``, ``64.0`` or nothing (0)."""
    text = str(value if value is not None else "").strip()
    if not text or text.lower() in ("nan", "none"):
        return 0
    return text[:-2] if text.endswith(".0") else text


def _name(value: object) -> str:
    text = str(value or "").strip()
    return "" if text.lower() in _NO_NAMES else text


def _gfx(value: object) -> str:
    """AITER fills a missing gfx with 0 where it merges tables."""
    text = _name(value)
    return "" if text == "0" else text


Whole = Annotated[int, BeforeValidator(_whole)]
Size = Annotated[Whole, Field(gt=0)]
Flag = Annotated[bool, BeforeValidator(_whole)]
KernelName = Annotated[str, BeforeValidator(_name)]


class Row(BaseModel):
    """One row; dtypes and quant as AITER writes them into module names, or its own text."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    token: Size
    """The padded token count that the row answers."""
    model_dim: Size
    inter_dim: Size
    expert: Size
    topk: Size
    act_type: Annotated[str, Field(pattern=r"^ActivationType\.\w+$")]
    dtype: str
    q_dtype_a: str
    q_dtype_w: str
    q_type: Annotated[str, Field(pattern=r"^QuantType\.\w+$")]
    use_g1u1: Flag
    doweight_stage1: Flag
    cu_num: Whole = 0
    gfx: Annotated[str, BeforeValidator(_gfx)] = ""
    block_m: Whole = 0
    ksplit: Whole = 0
    kernel1: KernelName = Field("", alias="kernelName1")
    kernel2: KernelName = Field("", alias="kernelName2")
    run_1stage: Flag = False
    tag: KernelName = Field("", alias="_tag")

    @property
    def activation(self) -> str:
        """``silu``, ``gelu``, ...: the part of the module's name."""
        return self.act_type.removeprefix("ActivationType.").lower()

    @property
    def quant(self) -> str | None:
        """The part of the module's name, None for one that CK2stages does not have."""
        return _QUANTS.get(self.q_type)

    @property
    def gpu(self) -> str:
        """The gfx column, else AITER's own guess from the number of compute units."""
        return self.gfx or GFX_OF_CU_NUM.get(self.cu_num, f"cu_num {self.cu_num}")

    def dtypes(self) -> tuple[str | None, str | None, str | None]:
        """(activation, weight, output); None for a dtype that CK2stages does not have."""
        a, b, c = (_DTYPES.get(name) for name in (self.q_dtype_a, self.q_dtype_w, self.dtype))
        return a, b, c

    def key(self) -> tuple[Any, ...]:
        """What AITER looks a row up by (_INDEX_COLS), and the tag that selects the table."""
        return (
            self.gpu, self.cu_num, self.token, self.model_dim, self.inter_dim, self.expert,
            self.topk, self.act_type, self.dtype, self.q_dtype_a, self.q_dtype_w, self.q_type,
            self.use_g1u1, self.doweight_stage1, self.tag,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row and where it is from."""

    row: Row
    kind: Literal["tuned", "untuned"]
    where: str
    """``table.csv:12``."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """All rows of some files: ``len(entries) + len(repeated) + len(bad)`` is their number."""

    entries: tuple[Entry, ...]
    repeated: tuple[str, ...]
    """A line for each row whose key an earlier row of its file has; AITER keeps the first."""
    bad: tuple[str, ...]
    """A line for each row that cannot be understood."""


def read_tables(paths: Sequence[Path]) -> Table:
    """Read tuned and untuned tables.

    Raises :class:`TableError` with every file that cannot be read and every missing column.
    """
    entries: list[Entry] = []
    repeated: list[str] = []
    bad: list[str] = []
    problems: list[str] = []
    for path in paths:
        try:
            header, lines = _lines(path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            problems.append(f"{path}: cannot be read: {why(error)}")
            continue
        missing = _missing_columns(header)
        if missing:
            problems.append(f"{path}: no column {', '.join(missing)}; found {', '.join(header)}")
            continue
        _read_rows(path.name, header, lines, entries, repeated, bad)
    if problems:
        raise TableError("tables of tuned MoE kernels cannot be used:", problems)
    return Table(entries=tuple(entries), repeated=tuple(repeated), bad=tuple(bad))


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        return header, [(reader.line_num, line) for line in reader if any(map(str.strip, line))]


def _missing_columns(header: Iterable[str]) -> list[str]:
    """Columns that a table lacks; one without any tuned column is an untuned one and needs none."""
    present = set(header)
    fields = Row.model_fields.values()
    names = [name for name, field in Row.model_fields.items() if field.is_required()]
    tuned = any(field.alias in present for field in fields if field.alias) or "block_m" in present
    needed = [*names, *(("cu_num", *_TUNED_ONLY) if tuned else ())]
    return [name for name in needed if name not in present]


def _read_rows(
    file: str,
    header: Sequence[str],
    lines: Iterable[tuple[int, list[str]]],
    entries: list[Entry],
    repeated: list[str],
    bad: list[str],
) -> None:
    kind: Literal["tuned", "untuned"] = "tuned" if "kernelName1" in header else "untuned"
    first: dict[tuple[Any, ...], str] = {}
    for number, line in lines:
        where = f"{file}:{number}"
        if len(line) > len(header):
            bad.append(f"{where}: {len(line)} values, the header has {len(header)}")
            continue
        try:
            row = Row.model_validate(_cells(header, line))
        except ValidationError as error:
            bad.append(f"{where}: {'; '.join(_explain(error))}")
            continue
        if row.key() in first:
            repeated.append(f"{where}: repeats the key of {first[row.key()]}, which AITER takes")
            continue
        first[row.key()] = where
        entries.append(Entry(row=row, kind=kind, where=where))


def _cells(header: Sequence[str], line: Sequence[str]) -> Mapping[str, str]:
    """Name the cells; a short row has empty ones at its end, as AITER's reader takes it."""
    return dict(itertools.zip_longest(header, line, fillvalue=""))


def _explain(error: ValidationError) -> Iterable[str]:
    for item in error.errors():
        column = ".".join(str(part) for part in item["loc"])
        yield f"{column}: found {item['input']!r}: {item['msg']}"
