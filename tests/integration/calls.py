"""Calls of a MoE module as AITER makes them: positional, trailing defaults left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prebuild.recording import Call

EXPERTS, TOP_K, MODEL_DIM = 384, 8, 7168
SORTED = 50_000


def tensor(
    pointer: int, dtype: str, *shape: int, device: int = 0, **changes: Any
) -> dict[str, Any]:
    """A tensor that claims to lie on a GPU."""
    return {"shape": list(shape), "dtype": dtype, "pointer": pointer, "device": device, **changes}


def stage1(
    *,
    tokens: int = 64,
    inter_dim: int = 1024,
    model_dim: int = MODEL_DIM,
    block_m: int = 128,
    kernel: str | None = None,
    replace: Mapping[int, Any] | None = None,
    uncovered: bool = False,
    **keywords: Any,
) -> Call:
    """A gate-up call of the A4W4 family; ``replace`` exchanges arguments by position."""
    args: list[Any] = [
        tensor(0x10000, "float4_e2m1fn_x2", tokens, model_dim // 2),
        tensor(0x20000, "float4_e2m1fn_x2", EXPERTS, 2 * inter_dim, model_dim // 2),
        tensor(0x30000, "float4_e2m1fn_x2", EXPERTS, model_dim, inter_dim // 2),
        *_sorting(),
        tensor(0x70000, "bfloat16", tokens, TOP_K, inter_dim),
        TOP_K,
        kernel,
        tensor(0x80000, "float8_e8m0fnu", EXPERTS * 2 * inter_dim, model_dim // 32),
        tensor(0x90000, "float8_e8m0fnu", tokens, model_dim // 32),
        block_m,
        None,
        3,
        0,
        1,
        False,
        None,
    ]
    return _call("ck_moe_stage1", args, replace, keywords, uncovered=uncovered)


def stage2(
    *,
    tokens: int = 64,
    inter_dim: int = 1024,
    model_dim: int = MODEL_DIM,
    block_m: int = 128,
    kernel: str | None = None,
    replace: Mapping[int, Any] | None = None,
    uncovered: bool = False,
    **keywords: Any,
) -> Call:
    """A down call of the A4W4 family."""
    args: list[Any] = [
        tensor(0x10000, "float4_e2m1fn_x2", tokens, TOP_K, inter_dim // 2),
        tensor(0x20000, "float4_e2m1fn_x2", EXPERTS, 2 * inter_dim, model_dim // 2),
        tensor(0x30000, "float4_e2m1fn_x2", EXPERTS, model_dim, inter_dim // 2),
        *_sorting(),
        tensor(0x70000, "bfloat16", tokens, model_dim),
        TOP_K,
        kernel,
        tensor(0x80000, "float8_e8m0fnu", EXPERTS * model_dim, inter_dim // 32),
        tensor(0x90000, "float8_e8m0fnu", tokens * TOP_K, inter_dim // 32),
        block_m,
        tensor(0xA0000, "float32", SORTED),
        3,
        0,
        1,
        False,
        None,
    ]
    return _call("ck_moe_stage2", args, replace, keywords, uncovered=uncovered)


def _sorting() -> list[dict[str, Any]]:
    return [
        tensor(0x40000, "int32", SORTED),
        tensor(0x50000, "int32", 2000),
        tensor(0x60000, "int32", 2),
    ]


def _call(
    function: str,
    args: list[Any],
    replace: Mapping[int, Any] | None,
    keywords: Mapping[str, Any],
    *,
    uncovered: bool,
) -> Call:
    for position, value in (replace or {}).items():
        args[position] = value
    return Call(function=function, args=tuple(args), kwargs=keywords, uncovered=uncovered)
