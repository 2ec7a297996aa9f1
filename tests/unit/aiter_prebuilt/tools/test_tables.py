from __future__ import annotations

import io
import sys

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


NAME = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2.so"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_last_cell_without_room_goes_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = tables.table(("action", "file", "why"), [("place", NAME, SENTENCE)]).splitlines()
    assert lines == [
        f"action  {'file'.ljust(len(NAME))}".rstrip(),
        "    why",
        f"place   {NAME}",
        f"    {SENTENCE}",
    ]


def test_a_long_word_goes_below_on_a_terminal_where_it_fits_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head, row = ("coverage", "gpu", "key", "module"), ("deployed", "gfx950", "27b72364", NAME)
    monkeypatch.setenv("COLUMNS", "100")
    assert len(tables.table(head, [row]).splitlines()) == 2, "a line a row in a pipe"
    monkeypatch.setattr(sys, "stdout", Screen())
    assert tables.table(head, [row]).splitlines()[2:] == [
        "deployed  gfx950  27b72364", f"    {NAME}",
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "160")
    assert len(tables.table(head, [row]).splitlines()) == 2


def test_lines_of_a_terminal_break_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = f"declined:\n    - {SENTENCE}\n{SENTENCE}"
    lines = tables.fitted(text, Screen()).splitlines()
    assert lines[0] == "declined:"
    assert lines[1].startswith("    - the GPU")
    assert lines[2].startswith("      ")
    assert lines[3].startswith("the GPU")
    assert lines[4].startswith("  ")
    assert all(len(line) <= 60 for line in lines)
    assert " ".join("\n".join(lines).split()) == " ".join(text.split())


def test_lines_of_a_pipe_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert tables.fitted(SENTENCE, io.StringIO()) == SENTENCE
