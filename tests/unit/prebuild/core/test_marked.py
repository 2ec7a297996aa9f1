from __future__ import annotations

import pytest

from prebuild.core.errors import PrebuildError
from prebuild.core.marked import between

PAGE = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"


def test_lines_go_between_their_marks_alone() -> None:
    assert between(PAGE, "x", ["1", "2"]) == PAGE.replace("old", "1\n2")


@pytest.mark.parametrize("gone", ["<!-- x: begin -->\n", "<!-- x: end -->\n"])
def test_a_page_without_a_mark_is_not_cut(gone: str) -> None:
    with pytest.raises(PrebuildError, match="put both back"):
        between(PAGE.replace(gone, ""), "x", ["1"])
