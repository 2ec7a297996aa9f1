from __future__ import annotations

import io

from rich.console import Console, RenderableType

from prebuild.report.compare import compare
from prebuild.report.table import as_comparison, as_table
from tests.unit.prebuild.report.samples import report


def shown(what: RenderableType) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_table_has_the_slowest_first_and_says_what_is_left_out() -> None:
    text = shown(as_table(report(), top=2))
    assert "critical path 30.5 s: gemm1_256x128x128x128_1x4.main_even 30.0 s" in text
    assert "4 units: 3 compiled, 1 from the object cache" in text
    assert text.index("gemm1_256x128x128x128_1x4.main_even ") < text.index("gemm2_256x32x128")
    assert "launch" not in text
    assert "... and 2 more" in text


def test_comparison_of_a_build_with_itself_moves_nothing() -> None:
    text = shown(as_comparison(compare(report(), report()), top=5))
    assert "CPU 51.5 s -> 51.5 s" in text
    assert "1.00" in text
    assert "moved" not in text
