from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from prebuild.cli import main as cli
from prebuild.core.errors import ToolchainError
from prebuild.wheel.version import project_version
from tests.unit.prebuild.samples import PROJECT, write_recipe

runner = CliRunner()


@pytest.fixture
def fresh() -> Iterator[None]:
    """As in a new process: nothing of the build tool has been imported."""
    kept = _loaded()
    for name in kept:
        del sys.modules[name]
    yield
    for name in _loaded():
        del sys.modules[name]
    sys.modules.update(kept)


def _loaded() -> dict[str, ModuleType]:
    return {name: part for name, part in sys.modules.items() if name.split(".")[0] == "prebuild"}


def forbid(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)  # an import of it raises


@pytest.mark.usefixtures("fresh")
def test_a_start_and_a_plan_import_nothing_heavy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, "numpy", "cyclonedx", "elftools", "jinja2", "rich.progress")
    path = write_recipe(tmp_path / "r.yaml")
    started = importlib.import_module("prebuild.cli.main")
    for command in (["--help"], ["plan", str(path)], ["check", str(path)]):
        done = runner.invoke(started.app, command)
        assert done.exit_code == 0, done.exception
    assert "prebuild.pipeline.build" not in sys.modules


@pytest.mark.usefixtures("fresh")
def test_a_build_imports_neither_the_executor_nor_the_wheel_s_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forbid(monkeypatch, "numpy", "cyclonedx")
    importlib.import_module("prebuild.cli.build")
    assert "prebuild.toolchain.apt" not in sys.modules


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_is_listed_with_its_own_help(name: str) -> None:
    command = cli.load(name)
    assert command.name == name
    assert (command.help or "").splitlines()[0] == cli.COMMANDS[name].help


def test_commands_of_commands_are_reached() -> None:
    done = runner.invoke(cli.app, ["toolchain", "lock", "--help"])
    assert done.exit_code == 0
    assert "toolchain lock" in done.stdout
    assert runner.invoke(cli.app, ["absent"]).exit_code == 2


def test_errors_of_ours_come_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recipe(tmp_path / "r.yaml", experts="many")
    monkeypatch.setattr(sys, "argv", ["prebuild", "check", str(path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 3
    assert "experts: found 'many'" in capsys.readouterr().err


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    def app(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(
        cli.signal, "signal", lambda *_: None
    )  # the tests' own process stays as it is
    monkeypatch.setattr(sys, "argv", ["prebuild", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_file_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = PermissionError(13, "Permission denied", "/nowhere/out")
    assert failing(error, monkeypatch) == 1
    assert capsys.readouterr().err == "prebuild: /nowhere/out: Permission denied\n"


def test_an_error_of_a_json_command_is_json_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ToolchainError("none:", ["install one"])
    assert failing(error, monkeypatch, "toolchain", "show", "--json") == 4
    printed = capsys.readouterr()
    found = json.loads(printed.out)["error"]
    assert found["kind"] == "ToolchainError"
    assert found["exit_code"] == 4
    assert "install one" in found["message"]
    assert "install one" in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "--json", "--fast"), "No such option: --fast"),
        (("dance", "--json"), "No such command 'dance'"),
    ],
)
def test_a_wrong_command_line_of_a_json_command_is_json(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["prebuild", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert said in json.loads(printed.out)["error"]["message"]
    assert said in printed.err


@pytest.mark.parametrize("arguments", [("check",), ("plan", "--json")])
def test_an_interrupt_says_what_is_kept(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli, "load", interrupted)
    monkeypatch.setattr(sys, "argv", ["prebuild", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130
    assert "run it again to go on" in capsys.readouterr().err


def test_version() -> None:
    done = runner.invoke(cli.app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout.strip() == project_version(PROJECT.root)
