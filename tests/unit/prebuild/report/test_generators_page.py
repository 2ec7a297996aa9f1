from __future__ import annotations

import dataclasses

from prebuild.core.project import Project
from prebuild.report.generators import Beside
from prebuild.report.generators_page import MARK, kernels, summary, with_summary
from tests.unit.prebuild.report.test_generators import GOOD, figures, pair

NAME = "moe_ck2stages_gemm1_256x32x128x128_1x4_MulABScaleShuffled_v3_Nswizzle0_Quant3_Mul"
FOUND = Beside(
    one="clang",
    other="amd",
    pairs=(
        pair(figures(spilled=42), figures(spilled=12, error=None), "a4w4", f"{NAME}.main_even"),
        pair(GOOD, GOOD, "a8w8", f"{NAME}.main_odd"),
    ),
    only_one=("x",),
    only_other=(),
)


def test_a_family_is_a_row_and_all_of_them_one_more() -> None:
    lines = summary(FOUND).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| family", "| `a4w4`", "| `a8w8`", "| all"]
    assert rows[1].split(" | ")[1:6] == ["1", "0 / 1", "1 / 1", "42 / 12", "0 / 0"]
    assert "1 kernels are only of clang." in lines
    assert all(row.count("|") == rows[0].count("|") for row in rows)


def test_times_have_a_column_where_both_sides_know_one() -> None:
    of_wheels = dataclasses.replace(
        FOUND, pairs=(pair(GOOD, figures(cpu_seconds=None), "a4w4", f"{NAME}.main_even"),)
    )
    for text in (summary(of_wheels), kernels(of_wheels)):
        assert "CPU s" not in text
    for text in (summary(FOUND), kernels(FOUND)):
        assert "CPU s" in text


def test_every_kernel_has_a_row_in_its_familys_section() -> None:
    page = kernels(FOUND)
    first, second = page.split("<details>")[1:]
    assert "a4w4: 1 kernels" in first
    row = next(line for line in first.splitlines() if line.startswith("| `gemm1"))
    assert "main_even" in row
    assert "42 / 12" in row
    assert "0.500 / ?" in row
    assert row.endswith("| second |")
    assert "a8w8: 1 kernels" in second
    assert "6000 |" in second


def test_the_table_goes_between_the_marks_and_nowhere_else() -> None:
    page = f"<!-- {MARK}: begin -->\nbefore it\n<!-- {MARK}: end -->\n"
    made = with_summary(page, FOUND)
    assert made.splitlines()[1].startswith("First figure: clang")
    assert "before it" not in made
    again = with_summary(made, dataclasses.replace(FOUND, one="Clang"))
    assert again.count("First figure") == 1


def test_the_projects_page_has_the_marks() -> None:
    text = (Project.here().root / "docs" / "code-generators.md").read_text(encoding="utf-8")
    assert with_summary(text, FOUND).count("First figure: clang") == 1
