from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from prebuild.cli import generators as cli
from prebuild.core.project import Project
from prebuild.report import generators
from prebuild.report.generators import Side
from prebuild.report.generators_page import MARK
from tests.unit.prebuild.report.test_generators import side


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the page; a side is named by the folder that it is read from."""

    def read_side(path: Path, *_: object) -> Side:
        return side(path.name, "k")

    monkeypatch.setattr(cli, "load", lambda _settings: None)
    monkeypatch.setattr(cli.generators, "read_side", read_side)
    monkeypatch.setattr(cli.Project, "here", lambda: Project(root=tmp_path))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "code-generators.md").write_text(
        f"<!-- {MARK}: begin -->\n<!-- {MARK}: end -->\n"
    )
    return tmp_path


def start(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(cli.command)
    answer = CliRunner().invoke(app, list(arguments))
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_the_first_side_is_the_first_argument(root: Path) -> None:
    assert start("/b/clang", "/b/amd").startswith("First figure: clang; second: amd.")
    assert json.loads(start("/b/clang", "/b/amd", "--json"))["generators"] == ["clang", "amd"]
    assert sorted(path.name for path in (root / "docs").iterdir()) == ["code-generators.md"]


def test_the_pages_are_written_when_asked(root: Path) -> None:
    start("/b/clang", "/b/amd", "--write")
    assert "First figure: clang" in (root / "docs" / "code-generators.md").read_text()
    assert "| `k` |" in (root / "docs" / "code-generators-kernels.md").read_text()


def test_a_build_is_not_compared_with_itself(root: Path) -> None:
    (root / "link").symlink_to(root)
    with pytest.raises(generators.GeneratorsError, match="both sides"):
        cli.command(root, root / "link")
