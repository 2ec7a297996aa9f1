from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from prebuild.wheel.judges import WheelError, check_files, check_size


def wheel(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, json.dumps(name))
    return path


def test_the_file_list_has_to_be_exact(tmp_path: Path) -> None:
    good = wheel(tmp_path, "a.py", "b.py", "x.dist-info/RECORD", "folder/")
    check_files(good, ["a.py", "b.py"])
    path = wheel(tmp_path, "a.py", "stray.so")
    with pytest.raises(WheelError) as caught:
        check_files(path, ["a.py", "b.py"])
    assert caught.value.problems == ("not expected: stray.so", "missing: b.py")


def test_the_size_budget_is_a_judge(tmp_path: Path) -> None:
    path = wheel(tmp_path, "a.py")
    check_size(path, 10_000)
    with pytest.raises(WheelError, match="too large"):
        check_size(path, 10)
