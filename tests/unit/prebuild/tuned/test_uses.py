from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prebuild.tuned.rows import read_tables
from prebuild.tuned.uses import Reading, read
from tests.unit.prebuild.tuned.samples import (
    ASM,
    FLYDSL,
    STAGE1,
    STAGE1_SMALL,
    STAGE2,
    UNTUNED,
    blockscale,
    row,
    write,
)

MODULE = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"
BLOCKSCALE = "module_moe_ck2stages_f8_f8_preshuffle_on_b16_silu_per_1x128_mulWeightStage2"


def reading(tmp_path: Path, changes: dict[str, Any], columns: list[str] | None = None) -> Reading:
    path = write(tmp_path / "t.csv", row(**changes), columns=columns)
    (found,) = read(read_tables([path]).entries)
    return found


def test_both_stages_by_name(tmp_path: Path) -> None:
    found = reading(tmp_path, {})
    assert found.stages == ("ck2stages", "ck2stages")
    assert [use.instance for use in found.uses] == [STAGE1, STAGE2]
    assert {use.module for use in found.uses} == {MODULE}
    assert all(use.named for use in found.uses)
    assert [(use.call.gemm.n, use.call.gemm.k) for use in found.uses] == [(512, 7168), (7168, 512)]
    assert not found.notes


@pytest.mark.parametrize(
    ("changes", "stages", "used"),
    [
        ({"kernelName2": FLYDSL}, ("ck2stages", "flydsl"), [1]),
        ({"kernelName1": FLYDSL}, ("flydsl", "ck2stages"), [2]),
        ({"kernelName1": ASM}, ("asm", "ck2stages"), [2]),
        ({"kernelName2": "cktile_a8w4_bm32"}, ("ck2stages", "cktile"), [1]),
        ({"kernelName2": "something_new"}, ("ck2stages", "other"), [1]),
        ({"kernelName1": ASM, "kernelName2": "Null", "run_1stage": 1},
         ("one-stage", "one-stage"), []),
        ({"cu_num": 80}, ("other gpu", "other gpu"), []),
    ],
)  # fmt: skip
def test_mixed_back_ends(
    tmp_path: Path, changes: dict[str, Any], stages: tuple[str, str], used: list[int]
) -> None:
    found = reading(tmp_path, changes)
    assert found.stages == stages
    assert [use.call.stage for use in found.uses] == used


def test_an_unknown_name_falls_back_to_the_block_size_as_in_aiter(tmp_path: Path) -> None:
    name = STAGE1.replace("256x128", "256x512")
    found = reading(tmp_path, {"kernelName1": name, "block_m": 32})
    assert found.uses[0].instance == STAGE1_SMALL
    assert not found.uses[0].named
    assert name in found.notes[0]
    assert "t.csv:2: stage 1" in found.notes[0]


def test_a_block_size_without_instance_is_said(tmp_path: Path) -> None:
    found = reading(tmp_path, {"kernelName1": "", "kernelName2": "", "block_m": 256})
    assert [use.instance for use in found.uses] == [None, None]
    assert all("no instance for block_m 256; AITER raises" in note for note in found.notes)
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"q_dtype_w": "torch.float8_e4m3fnuz"}, "float8_e4m3fnuz"),
        ({"q_dtype_a": "torch.complex64"}, "complex64"),
        ({"q_type": "QuantType.per_256x128"}, "per_256x128"),
        ({"q_dtype_w": "torch.int4"}, "FlyDSL"),
        ({"_tag": "mine"}, "mine"),
    ],
)
def test_what_is_odd_is_a_clear_line(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    (note,) = reading(tmp_path, changes).notes
    assert note.startswith("t.csv:2: ")
    assert word in note


def test_dtypes_of_no_family(tmp_path: Path) -> None:
    found = reading(tmp_path, {"q_dtype_a": "torch.float8_e4m3fn"})
    assert [use.table for use in found.uses] == [None, None]
    assert all("no family is module_moe_ck2stages_f8_fp4x2" in note for note in found.notes)


def test_the_routed_weight_chooses_the_module(tmp_path: Path) -> None:
    found = reading(tmp_path, {"doweight_stage1": 1, "kernelName1": "", "kernelName2": ""})
    assert {use.module for use in found.uses} == {MODULE.replace("Stage2", "Stage1")}


def test_split_k_is_a_module_of_its_own_for_stage_1(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", blockscale(ksplit=4))
    (found,) = read(read_tables([path]).entries)
    assert [use.module for use in found.uses] == [f"{BLOCKSCALE}_splitk", BLOCKSCALE]


def test_untuned_shapes_are_answered_by_the_heuristic(tmp_path: Path) -> None:
    path = write(tmp_path / "u.csv", blockscale(token=16), blockscale(token=64), columns=UNTUNED)
    few, many = read(read_tables([path]).entries)
    assert few.stages == ("ck2stages", "ck2stages")
    assert {use.call.block_m for use in few.uses} == {16}
    assert many.stages == ("one-stage", "one-stage")
    assert not many.uses


def test_an_untuned_mxfp4_shape_counts_for_every_version_of_aiter(tmp_path: Path) -> None:
    path = write(tmp_path / "u.csv", row(token=4096), columns=UNTUNED)
    (found,) = read(read_tables([path]).entries)
    assert found.stages == ("ck2stages", "ck2stages")  # 9bab8388, or no FlyDSL
    assert {use.call.block_m for use in found.uses} <= {32, 64, 128}
