from __future__ import annotations

import pytest

from aiter_prebuilt.tools import tables

SENTENCE = "the GPU is another one than the module was compiled for, so AITER compiles as before"


@pytest.mark.parametrize("columns", [60, 120])
def test_the_last_cell_breaks_between_words(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = tables.table(("code", "why"), [("gpu-other", SENTENCE), ("x", "short")])
    head, *lines = text.splitlines()
    assert head == "code       why"
    assert all(len(line) <= columns for line in lines)
    assert " ".join(" ".join(lines).split()) == f"gpu-other {SENTENCE} x short"
    assert (len(lines) == 2) == (columns == 120)
    if columns == 60:
        assert lines[1].startswith(" " * 11), "a broken line stands below its own column"


def test_a_word_that_is_too_long_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    name = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"
    assert name in tables.table(("a", "module"), [("full", name)])


def test_an_empty_last_cell_is_a_line_too() -> None:
    assert tables.table(("a", "b"), [("x", "")]).splitlines() == ["a  b", "x"]
