from __future__ import annotations

import pytest

from aiter_prebuilt.selftest.content import Repeated, pieces, whole


@pytest.mark.parametrize("size", [0, 1, 3, 4, 11])
def test_a_block_over_and_over(size: int) -> None:
    content = Repeated(b"abc", size)
    assert len(content) == size
    assert whole(content) == (b"abc" * 4)[:size]
    assert [at for at, _ in pieces(content)] == list(range(0, size, 3))


def test_plain_bytes_are_one_piece() -> None:
    assert list(pieces(b"xy")) == [(0, b"xy")]
