from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiter_prebuilt.call import Call, Gemm
from tests.unit.aiter_prebuilt import samples


def test_the_gemm_of_each_stage() -> None:
    shape = samples.SHAPE
    assert shape.gemm(1, tokens=1, block_m=32) == Gemm(m=256, n=1024, k=7168)
    assert shape.gemm(2, tokens=1, block_m=32) == Gemm(m=256, n=7168, k=1024)
    call = Call(features=samples.FEATURES, shape=shape, stage=2, tokens=1, block_m=32)
    assert call.gemm == shape.gemm(2, tokens=1, block_m=32)


@given(tokens=st.integers(1, 10**5), block_m=st.sampled_from([16, 32, 64, 128]))
def test_rows_are_those_that_sorting_can_give(tokens: int, block_m: int) -> None:
    """Every expert's rows fill whole blocks: never fewer than the rows, never a block more each."""
    shape = samples.SHAPE
    rows = shape.sorted_rows(tokens, block_m)
    assert tokens * shape.topk <= rows < tokens * shape.topk + shape.experts * block_m
    assert shape.gemm(1, tokens=tokens, block_m=block_m).m <= rows
