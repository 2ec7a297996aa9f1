from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from prebuild.bench.identity import Compared, Comparison
from prebuild.cli import identity as cli
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.inspect import aiter_code

SAME = Compared(kernel="a", sha256="1" * 64, likeness="code")
OTHER = Compared(kernel="b", sha256="2" * 64, likeness="other", detail="instruction 3")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The command without toolchain and compiler; holds what it prepared with and what is found."""
    held: dict[str, Any] = {"kernels": (SAME,), "origin": "AITER v1"}
    project = Project(root=tmp_path)
    (tmp_path / "packaging").mkdir()

    def prepare(_plan: object, *, settings: Settings, **_: object) -> SimpleNamespace:
        held["settings"] = settings
        return SimpleNamespace()

    def compare(_prepared: object, *, path: Path, **_: object) -> Comparison:
        held["path"] = path
        return Comparison(
            aiter="AITER v1", compiler="clang", code_generator=None, ck_version="7.2.4",
            ck_origin=None, flags=(), kernels=held["kernels"],
        )  # fmt: skip

    monkeypatch.setattr(cli.Project, "here", lambda: project)
    monkeypatch.setattr(cli, "ck_abilities", lambda _settings: frozenset())
    monkeypatch.setattr(cli, "chosen_recipes", lambda *_: [])
    monkeypatch.setattr(cli, "make_plan", lambda *_: None)
    monkeypatch.setattr(cli.TorchHeaders, "find", lambda *_: None)
    monkeypatch.setattr(cli.extras, "include_of", lambda *_: tmp_path)
    monkeypatch.setattr(cli.pipeline, "prepare", prepare)
    monkeypatch.setattr(cli.identity, "compare", compare)
    monkeypatch.setattr(cli.aiter_sources, "find_aiter", lambda _path: None)
    monkeypatch.setattr(cli.aiter_sources, "origin", lambda _found: held["origin"])
    held["project"] = project
    return held


def start(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(cli.command)
    answer = CliRunner().invoke(app, list(arguments))
    return answer.exit_code, answer.stdout


def test_all_the_same_is_0_and_one_that_is_not_is_1(state: dict[str, Any]) -> None:
    code, text = start("/aiter", "kimi-k2.5-mxfp4")
    assert (code, state["path"]) == (0, Path("/aiter"))
    assert "1 of 1 kernels are AITER's" in text
    state["kernels"] = (SAME, OTHER)
    code, text = start("/aiter", "--json")
    assert code == 1
    assert [one["likeness"] for one in json.loads(text)["kernels"]] == ["code", "other"]


def test_the_composable_kernel_is_the_aiters_unless_the_toolchains_is_asked_for(
    state: dict[str, Any],
) -> None:
    start("/aiter")
    assert state["settings"].aiter == Path("/aiter")
    start("/aiter", "--toolchain-ck")
    assert (state["settings"].aiter, state["settings"].ck_include) == (None, None)


def test_only_what_is_the_same_is_noted_and_only_when_asked(state: dict[str, Any]) -> None:
    state["kernels"] = (SAME, OTHER)
    file = state["project"].aiter_code
    start("/aiter")
    assert not file.exists()
    assert start("/aiter", "--write")[0] == 1
    (noted,) = aiter_code.read(file)
    assert noted.kernels == {"a": "1" * 64}
    assert (noted.aiter, noted.composable_kernel) == ("AITER v1", "7.2.4")


def test_nothing_is_noted_of_an_aiter_that_nothing_names(state: dict[str, Any]) -> None:
    state["origin"] = "an AITER without a version"
    app = typer.Typer()
    app.command()(cli.command)
    answer = CliRunner().invoke(app, ["/aiter", "--write"])
    assert isinstance(answer.exception, aiter_code.AiterCodeError)
    assert "not an AITER without a version" in str(answer.exception)
    assert "path" not in state, "it compared all the same"
    assert start("/aiter")[0] == 0
