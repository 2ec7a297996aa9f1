from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.report.ninja_log import Edge, NinjaLogError, parse, read


def test_last_line_of_an_output_counts() -> None:
    text = "# ninja log v7\n0\t1500\t1\t/o/a\tff\n2\t9\t1\t/o/b\tff\n10\t2010\t2\t/o/a\tff\n"
    assert parse(text) == (
        Edge(output="/o/a", start=0.01, end=2.01),
        Edge(output="/o/b", start=0.002, end=0.009),
    )
    assert parse(text)[0].seconds == pytest.approx(2.0)


@pytest.mark.parametrize("text", ["", "# ninja log v4\n", "nothing"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(NinjaLogError, match="begins with"):
        parse(text)


@pytest.mark.parametrize("line", ["1\t2\t3\t/o", "a\t2\t3\t/o\tff", "1 2 3 /o ff"])
def test_lines_that_are_none_are_refused(line: str) -> None:
    with pytest.raises(NinjaLogError, match="expected 5 fields"):
        parse(f"# ninja log v6\n{line}\n")


def test_no_log_means_no_edge(tmp_path: Path) -> None:
    assert read(tmp_path) == ()
