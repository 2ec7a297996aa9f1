"""The CPythons of this machine, for tests of one wheel in several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from prebuild.core import proc
from prebuild.core.errors import CommandError

FLOOR = (3, 10)
_NAME = re.compile(r"python3\.\d+")
_ASK = "import sys; print(sys.implementation.name, *sys.version_info[:2], sys.base_prefix)"


def candidates(search_path: Sequence[Path], home: Path) -> list[Path]:
    """Programs that may be CPythons: in PATH, in pyenv's and uv's folders, in /opt/python."""
    folders = list(search_path)
    folders += sorted(home.glob(".pyenv/versions/*/bin"))
    folders += sorted(home.glob(".local/share/uv/python/*/bin"))
    folders += sorted(Path("/opt/python").glob("cp3*-cp3*/bin"))
    return [
        file
        for folder in folders
        if folder.is_dir() and folder.name != "shims"
        for file in sorted(folder.iterdir())
        if _NAME.fullmatch(file.name)
    ]


def distinct(programs: Iterable[Path]) -> dict[tuple[int, int], tuple[Path, Path]]:
    """Version -> (program, prefix) of CPythons from 3.10 on; the first of a version counts."""
    found: dict[tuple[int, int], tuple[Path, Path]] = {}
    for program in programs:
        try:
            name, major, minor, prefix = proc.run([program, "-I", "-c", _ASK]).decode().split()
        except (CommandError, ValueError):
            continue
        version = (int(major), int(minor))
        if name == "cpython" and version >= FLOOR:
            found.setdefault(version, (program, Path(prefix)))
    return dict(sorted(found.items()))
