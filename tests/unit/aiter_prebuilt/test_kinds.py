from __future__ import annotations

from aiter_prebuilt import target
from aiter_prebuilt.kinds import ACTIVATIONS, QUANTISATIONS, dtypes


def test_words_and_numbers_are_told_apart() -> None:
    for table in (QUANTISATIONS, ACTIVATIONS):
        assert [each.number for each in table.values()] == list(range(len(table)))
        assert all(name == each.name == each.aiter.lower() for name, each in table.items())
    assert len({each.ck for each in ACTIVATIONS.values()}) == len(ACTIVATIONS)
    assert {each.module for each in QUANTISATIONS.values()} == set(QUANTISATIONS) - {"per_128x128"}


def test_dtypes_have_a_torch_name_of_their_own_that_is_accepted() -> None:
    names = [each.torch for each in dtypes().values()]
    assert len(set(names)) == len(names)
    assert all(each.torch in each.accepted for each in dtypes().values())
    assert dtypes()["f8"].torch == target.load().fp8
