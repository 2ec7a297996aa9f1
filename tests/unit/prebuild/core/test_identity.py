from __future__ import annotations

import dataclasses

import pytest

from aiter_prebuilt.call import ModuleKey
from prebuild.core import identity
from prebuild.families import load_families
from tests.unit.prebuild.samples import STOCK

KIMI = ModuleKey(
    a_dtype="fp4x2",
    b_dtype="fp4x2",
    c_dtype="b16",
    preshuffle=True,
    activation="silu",
    quant="per_1x32",
    routed_weight_stage=2,
)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, STOCK),
        ({"preshuffle": False}, STOCK.replace("_on_", "_off_")),
        ({"routed_weight_stage": 1}, STOCK.replace("Stage2", "Stage1")),
        ({"quant": "per_128x128"}, STOCK.replace("per_1x32", "per_1x128")),
        ({"splitk": True}, f"{STOCK}_splitk"),
        ({"activation": "gelu", "c_dtype": "f16"}, STOCK.replace("b16_silu", "f16_gelu")),
    ],
)
def test_module_names_are_aiters(changes: dict[str, object], name: str) -> None:
    assert dataclasses.replace(KIMI, **changes).stock_name == name  # type: ignore[arg-type]


def test_instance_names_are_those_of_the_issue() -> None:
    family = load_families()["a4w4_preshuffle"]
    names = {
        identity.instance_name(family, KIMI, facts.stage, facts.tile) for facts in family.instances
    }
    one = "MulABScaleShuffled_v3_Nswizzle0_Quant3_MulRoutedWeight0_silu_FP4X2_FP4X2_B16"
    two = "MulABScaleExpertWeightShuffled_v{}_Nswizzle0_Quant3_MulRoutedWeight1_FP4X2_FP4X2_B16"
    tiles = [("256x128x128x128_1x4", 3), ("256x32x128x128_1x4", 3), ("256x64x128x128_1x4", 3)]
    expected = {f"moe_ck2stages_gemm1_{tile}_{one}" for tile, _ in tiles}
    expected |= {f"moe_ck2stages_gemm1_64x32x32x128_1x1_{one}"}
    small = [("64x128x128x128_1x1", 3), ("64x32x32x128_1x1", 1), ("64x64x128x128_1x1", 3)]
    expected |= {f"moe_ck2stages_gemm2_{tile}_{two.format(v)}" for tile, v in [*tiles, *small]}
    assert names == expected


def test_a_reduced_module_can_never_be_taken_for_a_full_one() -> None:
    full = identity.module_key(STOCK, ["a", "b"], coverage="full")
    reduced = identity.module_key(STOCK, ["a", "b"], coverage="deployed")
    other = identity.module_key(STOCK, ["a"], coverage="deployed")
    assert len({full, reduced, other}) == 3
    assert identity.module_name(STOCK, full, coverage="full") == STOCK
    names = {
        identity.module_name(STOCK, key, coverage=coverage)
        for key in (reduced, other)
        for coverage in ("deployed", "sound")
    }
    assert len(names) == 4
    assert all(name.startswith(f"{STOCK}__") and name.isidentifier() for name in names)


def test_the_order_of_kernels_does_not_change_the_key() -> None:
    keys = {
        identity.module_key(STOCK, order, coverage="sound") for order in (["a", "b"], ["b", "a"])
    }
    assert len(keys) == 1
