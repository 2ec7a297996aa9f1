from __future__ import annotations

import pytest

from aiter_prebuilt.choice import tuned
from tests.unit.aiter_prebuilt import samples

CELLS = {
    "cu_num": "256", "token": "64.0", "model_dim": "7168", "inter_dim": "1024", "expert": "384",
    "topk": "8", "act_type": "ActivationType.Silu", "dtype": "torch.bfloat16",
    "q_dtype_a": "torch.float4_e2m1fn_x2", "q_dtype_w": "torch.float4_e2m1fn_x2",
    "q_type": "QuantType.per_1x32", "use_g1u1": "1", "doweight_stage1": "0", "block_m": "64",
    "ksplit": "", "us": "20", "kernelName1": "moe_ck2stages_a", "kernelName2": "NULL",
    "run_1stage": "False", "_tag": "",
}  # fmt: skip


def test_a_row_in_values() -> None:
    row = tuned.parse(CELLS)
    assert (row.tokens, row.shape, row.block_m, row.split_k) == (64, samples.SHAPE, 64, 0)
    assert (row.kernel(1), row.kernel(2)) == ("moe_ck2stages_a", "")
    assert row.features(preshuffle=True) == samples.FEATURES


@pytest.mark.parametrize(
    ("text", "name"), [("", ""), ("nan", ""), ("NULL", ""), ("Null", "Null"), (" x ", "x")]
)
def test_which_names_are_missing_for_aiter(text: str, name: str) -> None:
    """As pandas says, with which AITER reads."""
    assert tuned.parse({**CELLS, "kernelName1": text}).kernel_1 == name


def test_every_column_at_fault_is_named() -> None:
    with pytest.raises(tuned.RowError) as caught:
        tuned.parse({**CELLS, "token": "0", "topk": "x", "q_type": "4"})
    assert caught.value.problems == [
        "token: found '0', expected a whole number of 1 or more, of 31 bits",
        "topk: found 'x', expected a whole number of 1 or more, of 31 bits",
        "q_type: found '4', expected a member of QuantType",
    ]
