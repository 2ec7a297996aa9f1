from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from rich.console import RenderableType
from typer.testing import CliRunner

from prebuild.cli import report as cli
from prebuild.core.errors import PrebuildError
from prebuild.report import record
from tests.unit.prebuild.report.samples import write_build


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(cli, "_toolchain", lambda _settings: None)
    return CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(cli.report)
    return made


def test_json_of_a_work_folder(tmp_path: Path, runner: CliRunner, app: typer.Typer) -> None:
    work = write_build(tmp_path / "w")
    done = runner.invoke(app, ["--work", str(work), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["summary"]["cpu_seconds"] == 51.5
    assert "compare" not in found


def test_kernels_are_listed_when_asked_for(
    tmp_path: Path, runner: CliRunner, app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREBUILD_CACHE_DIR", str(tmp_path / "cache"))
    shown: list[RenderableType] = []
    monkeypatch.setattr(cli.console.out, "print", shown.append)
    work = write_build(tmp_path / "w")
    runner.invoke(app, ["--work", str(work)])
    runner.invoke(app, ["--work", str(work), "--kernels"])
    assert len(shown) == 1 + 2


def test_page_trace_and_comparison(tmp_path: Path, runner: CliRunner, app: typer.Typer) -> None:
    work, other = write_build(tmp_path / "w"), write_build(tmp_path / "other")
    page, trace = tmp_path / "b.html", tmp_path / "b.json"
    arguments = ["--work", str(work), "--html", str(page), "--trace", str(trace)]
    done = runner.invoke(app, [*arguments, "--compare", str(other), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["compare"]["cpu_before"] == 51.5
    assert "<svg" in page.read_text()
    assert json.loads(trace.read_text())["traceEvents"]


def test_a_folder_without_a_build_is_an_error(
    tmp_path: Path, runner: CliRunner, app: typer.Typer
) -> None:
    done = runner.invoke(app, ["--work", str(tmp_path)])
    assert isinstance(done.exception, record.RecordError)


def test_a_page_that_cannot_be_written_is_one_line(
    tmp_path: Path, runner: CliRunner, app: typer.Typer
) -> None:
    work = write_build(tmp_path / "w")
    done = runner.invoke(app, ["--work", str(work), "--html", str(tmp_path / "none" / "b.html")])
    assert isinstance(done.exception, PrebuildError)
    assert str(done.exception).endswith("b.html cannot be written: No such file or directory")
