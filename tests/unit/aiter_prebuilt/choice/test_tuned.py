from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.choice import tuned
from tests.unit.aiter_prebuilt import samples

CELLS = {
    "cu_num": "256", "token": "64.0", "model_dim": "7168", "inter_dim": "1024", "expert": "384",
    "topk": "8", "act_type": "ActivationType.Silu", "dtype": "torch.bfloat16",
    "q_dtype_a": "torch.float4_e2m1fn_x2", "q_dtype_w": "torch.float4_e2m1fn_x2",
    "q_type": "QuantType.per_1x32", "use_g1u1": "1", "doweight_stage1": "0", "block_m": "64",
    "ksplit": "", "us": "20", "kernelName1": "moe_ck2stages_a", "kernelName2": "Null",
    "run_1stage": "False", "_tag": "",
}  # fmt: skip


def write(root: Path, name: str, *rows: dict[str, str]) -> None:
    (root / "model_configs").mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys([*CELLS, *(column for row in rows for column in row)]))
    lines = [",".join(columns)]
    lines += [",".join({**CELLS, **row}.get(column, "") for column in columns) for row in rows]
    (root / name).write_text("\n".join(lines))


def look(root: Path, features: ModuleKey = samples.FEATURES) -> tuned.Found | None:
    return tuned.lookup(root, features, samples.SHAPE, 64, 256)


def test_no_tables(tmp_path: Path) -> None:
    assert look(tmp_path) is None


def test_files_that_are_no_tables_hold_no_rows(tmp_path: Path) -> None:
    folder = tmp_path / "model_configs"
    folder.mkdir(parents=True)
    (folder / "a_tuned_fmoe.csv").write_bytes(b"\xff\xfe\x00")
    (folder / "b_tuned_fmoe.csv").mkdir()
    (folder / "c_untuned_fmoe.csv").write_text("token\n64\n")
    assert look(tmp_path) is None


def test_a_row_in_values() -> None:
    row = tuned.parse(CELLS)
    assert (row.tokens, row.shape, row.block_m, row.split_k) == (64, samples.SHAPE, 64, 0)
    assert (row.kernel(1), row.kernel(2)) == ("moe_ck2stages_a", "")
    assert row.is_ck2stages(1)
    assert row.is_ck2stages(2)
    assert row.features(preshuffle=True) == samples.FEATURES
    call = row.call(1, samples.FEATURES, 60)
    assert (call.tokens, call.block_m, call.kernel_name) == (60, 64, "moe_ck2stages_a")


def test_every_column_at_fault_is_named() -> None:
    with pytest.raises(tuned.RowError) as caught:
        tuned.parse({**CELLS, "token": "0", "topk": "x", "q_type": "4"})
    assert caught.value.problems == [
        "token: found '0', expected a whole number of 1 or more",
        "topk: found 'x', expected a whole number of 1 or more",
        "q_type: found '4', expected a member of QuantType",
    ]


def test_the_fastest_row_counts_and_one_that_is_not_understood_is_none(tmp_path: Path) -> None:
    slow, bad = {"us": "50", "block_m": "128"}, {"us": "1", "topk": "many"}
    write(tmp_path, "tuned_fmoe.csv", slow, bad)
    write(tmp_path, "model_configs/a_tuned_fmoe.csv", {})
    found = look(tmp_path)
    assert found is not None
    assert (found.row.block_m, found.table) == (64, "a_tuned_fmoe.csv")


@pytest.mark.parametrize(
    "changes",
    [
        {"gfx": "gfx1250"},
        {"cu_num": "80"},
        {"_tag": tuned.FALLBACK},
        {"q_dtype_w": "torch.int8"},
        {"doweight_stage1": "1"},
        {"inter_dim": "512"},
    ],
)
def test_rows_for_something_else_do_not_count(tmp_path: Path, changes: dict[str, str]) -> None:
    write(tmp_path, "tuned_fmoe.csv", changes)
    assert look(tmp_path) is None


@pytest.mark.parametrize(
    "changes", [{"quant": "per_128x128"}, {"activation": "gelu"}, {"a_dtype": "no such dtype"}]
)
def test_other_features_have_other_rows(tmp_path: Path, changes: dict[str, Any]) -> None:
    write(tmp_path, "tuned_fmoe.csv", {"gfx": "gfx950"})
    assert look(tmp_path) is not None
    assert look(tmp_path, dataclasses.replace(samples.FEATURES, **changes)) is None
