from __future__ import annotations

from pathlib import Path

import pytest

from aiter_prebuilt import generations
from prebuild.core.errors import ToolchainError
from prebuild.core.project import Project
from prebuild.toolchain.pin import raised, read_pin


def test_a_release_is_built_with_what_the_newest_known_aiter_pins() -> None:
    """Where this fails, an AITER was added: ``make pin AITER=PATH/TO/aiter``."""
    pin, newest = read_pin(Project.here().matrix), generations.load().releases[-1]
    assert (pin.aiter.release, pin.aiter.commit) == (newest.tag, newest.commit)
    assert pin.ck.commit[: len(newest.ck)] == newest.ck
    assert pin.ck_version == f"commit {pin.ck.commit}"


def test_raising_it_changes_three_values_and_nothing_else(tmp_path: Path) -> None:
    text = Project.here().matrix.read_text(encoding="utf-8")
    made = raised(text, release="v9", aiter_commit="a" * 40, ck_commit="c" * 40)
    changed = [
        line
        for line, before in zip(made.splitlines(), text.splitlines(), strict=True)
        if line != before
    ]
    assert changed == ['release = "v9"', f'commit = "{"a" * 40}"', f'commit = "{"c" * 40}"']
    (tmp_path / "matrix.toml").write_text(made)
    assert read_pin(tmp_path / "matrix.toml").ck.commit == "c" * 40


def test_a_file_without_its_sections_is_neither_read_nor_raised(tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text('[aiter]\nrelease = "v1"\n[ck]\ncommit = "short"\n')
    with pytest.raises(ToolchainError, match="names no composable kernel"):
        read_pin(tmp_path / "matrix.toml")
    with pytest.raises(ToolchainError, match=r"no commit in \[aiter\]"):
        raised('[aiter]\nrelease = "v1"\n', release="v2", aiter_commit="a", ck_commit="c")
