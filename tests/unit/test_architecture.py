"""Rules 1 to 4 of docs/architecture.md, read from the imports themselves."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = sorted((ROOT / "aiter_prebuilt").rglob("*.py"))
BUILD = sorted((ROOT / "packaging" / "prebuild").rglob("*.py"))
SHARED_LEAVES = tuple(f"aiter_prebuilt.{leaf}" for leaf in ("manifest", "dispatch", "routing"))
STAGES = ("recipe", "plan", "generate", "compile", "link", "inspect", "verify", "wheel")
COMPOSERS = {"cli", "pipeline", "make"}
# settings.py and the commands of the build read it; the others only hand it on to child processes.
ENVIRONMENT_READERS = {"settings.py", "cli.py", "building.py", "make.py", "proc.py", "measure.py"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", RUNTIME, ids=name)
def test_the_runtime_imports_the_standard_library_and_itself(path: Path) -> None:
    tops = {imported.split(".")[0] for imported in imports(path)}
    # torch and aiter are the user's: asked for late, inside functions, never required.
    assert tops - set(sys.stdlib_module_names) <= {"aiter_prebuilt", "torch", "aiter"}


@pytest.mark.parametrize("path", RUNTIME, ids=name)
def test_importing_the_runtime_loads_neither_torch_nor_aiter(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {found.split(".")[0] for found in names} & {"torch", "aiter"}


@pytest.mark.parametrize("path", BUILD, ids=name)
def test_the_build_side_shares_three_leaves_with_the_runtime(path: Path) -> None:
    used = {found for found in imports(path) if found.startswith("aiter_prebuilt")}
    modules = {leaf for leaf in SHARED_LEAVES for found in used if found.startswith(leaf)}
    assert all(
        any(found.startswith(leaf) for leaf in modules) for found in used - {"aiter_prebuilt"}
    )


@pytest.mark.parametrize("path", BUILD, ids=name)
def test_stages_do_not_import_each_other(path: Path) -> None:
    parts = path.relative_to(ROOT / "packaging" / "prebuild").with_suffix("").parts
    own = parts[0]
    if own not in STAGES or parts[-1] in COMPOSERS:
        return
    others = {
        found.split(".")[1]
        for found in imports(path)
        if found.startswith("prebuild.") and len(found.split(".")) > 1
    } & set(STAGES)
    # A recipe's and a flag's type are values that cross stages; their modules hold both.
    assert others - {own} <= {"recipe"}


@pytest.mark.parametrize("path", [*BUILD, *RUNTIME], ids=name)
def test_the_environment_is_read_in_few_places(path: Path) -> None:
    reads = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    assert not reads or path.name in ENVIRONMENT_READERS


@pytest.mark.parametrize("path", BUILD, ids=name)
def test_one_door_for_subprocesses(path: Path) -> None:
    assert path.name == "proc.py" or "subprocess" not in set(imports(path))


@pytest.mark.parametrize("path", BUILD, ids=name)
def test_modules_are_imported_by_name_in_the_command_table_alone(path: Path) -> None:
    """What is imported by a text escapes the tests above; the table's texts do no harm."""
    found = "import_module" in path.read_text() or "__import__" in path.read_text()
    assert not found or name(path) == "packaging/prebuild/cli.py"


@pytest.mark.parametrize("path", [*BUILD, *RUNTIME], ids=name)
def test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < 60, node.name
