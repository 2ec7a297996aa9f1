from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core.project import Project
from prebuild.inspect.aiter_code import AiterCodeError, Checked, aiters, read, write


def checked(aiter: str = "AITER v1", **kernels: str) -> Checked:  # noqa: A002
    return Checked(
        aiter=aiter,
        compiler="clang",
        code_generator=None,
        composable_kernel="7.2.4",
        flags=("-mllvm",),
        kernels=kernels,
    )


def test_comparisons_of_the_same_sides_are_joined_and_others_stand_beside(tmp_path: Path) -> None:
    file = tmp_path / "code.json"
    assert read(file) == ()
    write(file, checked(b="2", a="1"))
    write(file, checked(b="3", c="4"))
    write(file, checked("AITER v2", a="1"))
    assert [(one.aiter, one.kernels) for one in read(file)] == [
        ("AITER v1", {"a": "1", "b": "3", "c": "4"}),
        ("AITER v2", {"a": "1"}),
    ]


def test_only_the_very_object_that_was_compared_counts() -> None:
    both = [checked("AITER v2", a="1"), checked("AITER v1", a="1", b="2")]
    assert aiters(both, "a", "1") == ("AITER v1", "AITER v2")
    assert aiters(both, "b", "1") == ()
    assert aiters(both, "c", "1") == ()


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 2, "checked": []}'])
def test_a_file_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "code.json").write_text(text)
    with pytest.raises(AiterCodeError, match=r"code\.json"):
        read(tmp_path / "code.json")


def test_the_projects_own_file_is_as_the_command_writes_it(tmp_path: Path) -> None:
    file = Project.here().aiter_code
    copy = tmp_path / file.name
    for one in read(file):
        write(copy, one)
    assert copy.exists() == file.exists()
    assert not file.exists() or copy.read_text() == file.read_text()
