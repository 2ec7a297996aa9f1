from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from prebuild.cli import verify as cli
from prebuild.verify.verdict import Verdict


def test_json(verdict: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run", lambda *_, **__: [verdict])
    app = typer.Typer()
    app.command()(cli.verify_kernels)
    answer = CliRunner().invoke(app, [str(tmp_path), "--json"])
    assert answer.exit_code == 0
    printed = json.loads(answer.stdout)
    assert printed["schema"] == 1
    assert printed["kernels"][0]["max_error"] == 0.5


def test_a_list_of_mnemonics_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "mnemonics", lambda path, **_: f"of = 1 # {path}\n")
    monkeypatch.setattr(cli, "run", lambda *_, **__: pytest.fail("kernels were run"))
    app = typer.Typer()
    app.command()(cli.verify_kernels)
    answer = CliRunner().invoke(app, [str(tmp_path), "--mnemonics"])
    assert (answer.exit_code, answer.stdout) == (0, f"of = 1 # {tmp_path}\n")
