from __future__ import annotations

from pathlib import Path

from prebuild.release.pythons import candidates


def test_pythons_are_found_in_path_and_in_pyenvs_folder_without_its_shims(tmp_path: Path) -> None:
    places = {
        "bin": ["python3.11", "python3", "python3.11-config", "sh"],
        "home/.pyenv/shims": ["python3.12"],
        "home/.pyenv/versions/3.13.0/bin": ["python3.13"],
    }
    for folder, names in places.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / name).touch()
    path = [tmp_path / "bin", tmp_path / "home/.pyenv/shims", tmp_path / "absent"]
    found = [file.name for file in candidates(path, tmp_path / "home") if tmp_path in file.parents]
    assert found == ["python3.11", "python3.13"]
