"""AITER's tuned tables: a row for a shape comes before the heuristic of :mod:`dispatch`."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import ModuleKey

CK_PREFIX = "moe_ck2stages_"
"""Kernel names of CK2stages; any other kernel of a row takes no module of this family."""

_TORCH = {
    "fp4x2": "torch.float4_e2m1fn_x2",
    "f8": "torch.float8_e4m3fn",
    "i8": "torch.int8",
    "i4": "torch.uint32",
    "b16": "torch.bfloat16",
    "f16": "torch.float16",
}
_QUANT = {"per_tensor": "per_Tensor", "per_token": "per_Token", "no": "No"}


@value_class(frozen=True, kw_only=True)
class Row:
    """AITER's tuned choice for one shape."""

    block_m: int
    kernel_1: str
    kernel_2: str
    split_k: int
    one_stage: bool
    """Whether one assembly kernel does the whole call; it is ``kernel_1`` then."""
    table: str


def lookup(
    aiter_root: Path,
    features: ModuleKey,
    shape: Mapping[str, int],
    cu_count: int,
) -> Row | None:
    """Return the fastest row for a shape (token, model_dim, inter_dim, expert, topk), or None.

    A file that cannot be read is one without rows.  Rows with the tag ``flydsl_fallback`` are not
    in the table that AITER looks into first.
    """
    wanted = {name: str(value) for name, value in {**shape, "cu_num": cu_count}.items()}
    wanted |= {
        "act_type": f"ActivationType.{features.activation.capitalize()}",
        "q_dtype_a": _TORCH.get(features.a_dtype, "?"),
        "q_dtype_w": _TORCH.get(features.b_dtype, "?"),
        "dtype": _TORCH.get(features.c_dtype, "?"),
        "q_type": f"QuantType.{_QUANT.get(features.quant, features.quant)}",
        "doweight_stage1": "1" if features.routed_weight_stage == 1 else "0",
    }
    found = [
        (_float(row.get("us")), table, row)
        for table, row in _rows(aiter_root / "configs")
        if all(row.get(name) == value for name, value in wanted.items())
        and row.get("_tag") != "flydsl_fallback"
    ]
    if not found:
        return None
    _, table, row = min(found, key=lambda item: (item[0], item[1]))
    return Row(
        block_m=_whole(row.get("block_m")),
        kernel_1=(row.get("kernelName1") or "").strip(),
        kernel_2=(row.get("kernelName2") or "").strip(),
        split_k=_whole(row.get("ksplit")),
        one_stage=_whole(row.get("run_1stage")) != 0,
        table=table,
    )


def _rows(configs: Path) -> Iterator[tuple[str, dict[str, str]]]:
    paths = [configs / "tuned_fmoe.csv", *sorted((configs / "model_configs").glob("*tuned_fmoe*"))]
    for path in paths:
        if "untuned" in path.name:
            continue
        try:
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield path.name, row
        except (OSError, ValueError, csv.Error):
            continue


def _whole(text: str | None) -> int:
    value = _float(text)
    return int(value) if math.isfinite(value) else 0


def _float(text: str | None) -> float:
    try:
        return float(text or "inf")
    except ValueError:
        return float("inf")
