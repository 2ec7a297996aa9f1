from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from prebuild.core.wheelfile import (
    NoWheelError,
    WrongManifestError,
    check_wheel,
    read_manifest,
)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON"), ('{"schema": 1}', "schema is 1"), (None, "No such file")],
)
def test_a_manifest_that_cannot_be_read_is_an_error_in_a_line(
    text: str | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "manifest.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(WrongManifestError, match=message) as caught:
        read_manifest(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert caught.value.exit_code == 2
