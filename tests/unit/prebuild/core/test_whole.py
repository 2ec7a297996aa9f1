from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core.whole import whole


def test_it_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    with whole(path) as scratch:
        scratch.write_text("one")
        assert not path.exists()
    assert [(each.name, each.read_text()) for each in path.parent.iterdir()] == [("a.json", "one")]


def test_what_is_cut_off_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")

    def begin() -> None:
        with whole(path) as scratch:
            scratch.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.json", "before")]
