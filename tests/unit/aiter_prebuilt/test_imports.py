"""The runtime imports the standard library and itself; start-up imports next to nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "aiter_prebuilt"
FILES = sorted(PACKAGE.glob("*.py"))


def _imports(path: Path, *, top_only: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_only_the_standard_library_and_itself(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"aiter_prebuilt"}
    assert {name.partition(".")[0] for name in _imports(path, top_only=False)} <= allowed


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("__init__.py", set()),
        ("settings.py", {"os"}),
        ("_hook.py", {"sys", "aiter_prebuilt.settings"}),
    ],
)
def test_start_up_files_import_next_to_nothing(name: str, allowed: set[str]) -> None:
    assert set(_imports(PACKAGE / name, top_only=True)) <= allowed


@pytest.mark.parametrize("name", ["manifest.py", "dispatch.py"])
def test_leaves_that_the_build_side_uses_stand_alone(name: str) -> None:
    own = {
        found for found in _imports(PACKAGE / name, top_only=False) if found.startswith("aiter_pre")
    }
    allowed = {"aiter_prebuilt.manifest", "aiter_prebuilt.values"}
    assert {found.rsplit(".", 1)[0] for found in own} <= allowed


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_the_environment_is_read_in_settings_only(path: Path) -> None:
    if path.name != "settings.py":
        text = path.read_text()
        assert "environ" not in text
        assert "getenv" not in text


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 400
