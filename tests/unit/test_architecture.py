"""The rules of docs/architecture.md, read from the sources themselves."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "aiter_prebuilt"
BUILD = ROOT / "packaging" / "prebuild"

RUNTIME_ROOMS = ("wheel", "host", "choice", "serve", "selftest", "tools")
"""A room imports itself, the modules at the top, and rooms to its left."""
FOUNDATIONS = ("core", "recipe", "families", "toolchain", "gfx950", "recording")
STAGES = ("plan", "generate", "compile", "link", "inspect", "verify", "wheel")
COMPOSERS = ("report", "tuned", "harvest", "pipeline", "aiter", "repro", "bench", "release", "cli")
SHARED_LEAVES = (
    "errors",
    "target",
    "kinds",
    "digits",
    "call",
    "releases",
    "generations",
    "host.aiter",
    "host.match",
    "host.parts",
    "wheel.manifest",
    "wheel.bundle",
    "choice.dispatch",
    "choice.heuristic",
    "choice.lookup",
    "choice.routing",
    "choice.rules",
    "choice.tuned",
    "choice.model",
    "choice.verdict",
    "selftest.cases",
    "selftest.content",
    "selftest.judge",
    "selftest.problems",
    "selftest.reference",
    "selftest.report",
)
"""What the build side shares with the runtime: facts, the contract, what an AITER chooses, and the
problems that a device's report is of."""


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{name(path)}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    """The folder below the package, empty for a module at its top."""
    parts = path.relative_to(RUNTIME if path.is_relative_to(RUNTIME) else BUILD).parts
    return parts[0] if len(parts) > 1 else ""


def rooms_used(path: Path, package: str, known: tuple[str, ...]) -> set[str]:
    parts = (found.split(".") for found in imports(path) if found.startswith(f"{package}."))
    return {part[1] for part in parts} & set(known)


def tops(path: Path, *, top_only: bool = False) -> set[str]:
    return {found.partition(".")[0] for found in imports(path, top_only=top_only)}


def test_every_room_of_the_build_side_is_named_here() -> None:
    folders = {path.parent.name for path in BUILD.glob("*/__init__.py")}
    assert folders == {*FOUNDATIONS, *STAGES, *COMPOSERS}
    assert {path.name for path in BUILD.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_every_room_of_the_runtime_is_named_here() -> None:
    assert {path.parent.name for path in RUNTIME.glob("*/__init__.py")} == set(RUNTIME_ROOMS)


def test_the_runtime_imports_the_standard_library_and_itself() -> None:
    # torch and aiter are the user's: asked for late, inside functions, never required.
    allowed = {"aiter_prebuilt", "torch", "aiter"} | set(sys.stdlib_module_names)
    wrong = {name(path): tops(path) - allowed for path in sources(RUNTIME)}
    assert not {where: found for where, found in wrong.items() if found}


def test_importing_the_runtime_loads_neither_torch_nor_aiter() -> None:
    loads = [path for path in sources(RUNTIME) if tops(path, top_only=True) & {"torch", "aiter"}]
    assert [name(path) for path in loads] == []


def test_arrows_of_the_runtime_point_to_the_left() -> None:
    for path in sources(RUNTIME):
        if room(path):
            allowed = RUNTIME_ROOMS[: RUNTIME_ROOMS.index(room(path)) + 1]
            used = rooms_used(path, "aiter_prebuilt", RUNTIME_ROOMS)
            assert used <= set(allowed), name(path)


def test_the_build_side_shares_few_leaves_with_the_runtime() -> None:
    leaves = tuple(f"aiter_prebuilt.{leaf}" for leaf in SHARED_LEAVES)
    for path in sources(BUILD):
        used = {found for found in imports(path) if found.startswith("aiter_prebuilt")}
        assert all(f"{found}.".startswith(tuple(f"{leaf}." for leaf in leaves)) for found in used)


def test_foundations_know_no_stage() -> None:
    for path in sources(BUILD):
        if room(path) in FOUNDATIONS:
            allowed = FOUNDATIONS[: FOUNDATIONS.index(room(path)) + 1]
            used = rooms_used(path, "prebuild", (*FOUNDATIONS, *STAGES, *COMPOSERS))
            assert used <= set(allowed), name(path)


def test_stages_do_not_import_each_other() -> None:
    for path in sources(BUILD):
        if room(path) in STAGES:
            used = rooms_used(path, "prebuild", (*FOUNDATIONS, *STAGES, *COMPOSERS))
            assert used <= {*FOUNDATIONS, room(path)}, name(path)


def test_arrows_between_composers_point_to_the_left() -> None:
    for path in sources(BUILD):
        if room(path) in COMPOSERS:
            allowed = COMPOSERS[: COMPOSERS.index(room(path)) + 1]
            assert rooms_used(path, "prebuild", COMPOSERS) <= set(allowed), name(path)


def test_the_environment_is_read_in_few_places() -> None:
    """By the two settings, and where it is handed on to a child process."""
    readers = []
    for path in [*sources(RUNTIME), *sources(BUILD)]:
        nodes = ast.walk(ast.parse(path.read_text()))
        reads = any(
            isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} for node in nodes
        )
        if reads:
            readers.append(name(path))
    assert readers == [
        "aiter_prebuilt/settings.py",
        "packaging/prebuild/compile/device.py",
        "packaging/prebuild/compile/measure.py",
        "packaging/prebuild/core/proc.py",
        "packaging/prebuild/core/settings.py",
    ]


def test_one_door_for_subprocesses() -> None:
    users = [name(path) for path in sources(BUILD) if "subprocess" in tops(path)]
    # measure.py and device.py are programs of their own, which ninja starts.
    assert users == ["packaging/prebuild/core/proc.py"]


def test_modules_are_imported_by_name_in_the_command_table_alone() -> None:
    """What is imported by a text escapes the tests above; the table's texts do no harm."""
    users = [
        name(path)
        for path in sources(BUILD)
        if "import_module" in path.read_text() or "__import__" in path.read_text()
    ]
    assert users == ["packaging/prebuild/cli/main.py"]


def test_the_gfx_target_is_named_by_its_data_file_alone() -> None:
    """A second target is a second file: no text that a program works with names this one."""
    named = []
    for path in [*sources(RUNTIME), *sources(BUILD)]:
        tree = ast.parse(path.read_text())
        documents = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        named += [
            f"{name(path)}: {node.value!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and node not in documents
            and "gfx950" in str(node.value)
        ]
    assert named == ["aiter_prebuilt/target.py: 'gfx950.json'"]


def test_modules_and_functions_stay_readable() -> None:
    for path in [*sources(BUILD), *sources(RUNTIME)]:
        assert len(path.read_text().splitlines()) <= 400, name(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                assert node.end_lineno - node.lineno < 60, f"{name(path)}: {node.name}"
