from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from prebuild.core.wheelfile import NoWheelError, check_wheel


def test_an_archive_may_be_a_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w"):
        pass
    check_wheel(tmp_path / "a.whl")


def test_what_is_none_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.whl").write_text("hello")
    for name, message in (("text.whl", "not a zip"), ("none.whl", "no such file"), ("", "no such")):
        with pytest.raises(NoWheelError, match=message) as caught:
            check_wheel(tmp_path / name)
        assert caught.value.exit_code == 2
