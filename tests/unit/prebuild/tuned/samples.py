"""Small tables in AITER's format, made for the tests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

SIZES = ["token", "model_dim", "inter_dim", "expert", "topk"]
KINDS = ["act_type", "dtype", "q_dtype_a", "q_dtype_w", "q_type", "use_g1u1", "doweight_stage1"]
COLUMNS = [
    "cu_num", *SIZES, *KINDS, "block_m", "ksplit", "us1", "kernelName1", "us2", "kernelName2",
    "run_1stage", "_tag",
]  # fmt: skip
UNTUNED = [*SIZES, *KINDS]

ONE = "moe_ck2stages_gemm1_{}_MulABScaleShuffled_v3_Nswizzle0_Quant3_MulRoutedWeight0_silu_{}"
TWO = "moe_ck2stages_gemm2_{}_MulABScaleExpertWeightShuffled_v3_Nswizzle0_Quant3_{}"
STAGE1 = ONE.format("256x128x128x128_1x4", "FP4X2_FP4X2_B16")
STAGE1_SMALL = ONE.format("64x32x32x128_1x1", "FP4X2_FP4X2_B16")
STAGE2 = TWO.format("256x32x128x128_1x4", "MulRoutedWeight1_FP4X2_FP4X2_B16")
FLYDSL = "flydsl_moe2_afp4_wfp4_bf16_t32x128x256_atomic"
ASM = "_ZN5aiter48fmoe_bf16_blockscaleFp8_g1u1_novs_silu_1tg_32x256E"


def row(**changes: Any) -> dict[str, Any]:
    """One good MXFP4 row for Kimi-K2.5 at TP 4; both stages are CK2stages."""
    return {
        "cu_num": 256,
        "token": 1024,
        "model_dim": 7168,
        "inter_dim": 512,
        "expert": 384,
        "topk": 8,
        "act_type": "ActivationType.Silu",
        "dtype": "torch.bfloat16",
        "q_dtype_a": "torch.float4_e2m1fn_x2",
        "q_dtype_w": "torch.float4_e2m1fn_x2",
        "q_type": "QuantType.per_1x32",
        "use_g1u1": 1,
        "doweight_stage1": 0,
        "block_m": 128,
        "ksplit": 0,
        "us1": 1.5,
        "kernelName1": STAGE1,
        "us2": 1.5,
        "kernelName2": STAGE2,
        "run_1stage": 0,
        "_tag": "",
        **changes,
    }


def blockscale(**changes: Any) -> dict[str, Any]:
    """A row for block-scaled FP8 weights without kernel names."""
    return row(
        q_dtype_a="torch.float8_e4m3fn",
        q_dtype_w="torch.float8_e4m3fn",
        q_type="QuantType.per_1x128",
        kernelName1="",
        kernelName2="",
        block_m=64,
        **changes,
    )


def write(path: Path, *rows: dict[str, Any], columns: list[str] | None = None) -> Path:
    """Write rows below the tuned columns, or others."""
    names = columns or COLUMNS
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path
