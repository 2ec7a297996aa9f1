from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prebuild import cli
from tests.unit.prebuild.samples import write_recipe

runner = CliRunner()


def test_plan_prints_json(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "r.yaml")
    done = runner.invoke(cli.app, ["plan", str(path), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["modules"]


def test_generate_writes_the_instances(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["generate", "kimi-k2.5-mxfp4", "--tp", "2", "--coverage", "deployed"]
    done = runner.invoke(cli.app, [*command, "--out", str(out)])
    assert done.exit_code == 0
    assert not list(out.rglob("moe_ck2stages_gemm2_64x*.cu"))
    assert len(list(out.glob("*/instances/*.hpp"))) == 7


def test_the_schema_is_printed() -> None:
    schema = json.loads(runner.invoke(cli.app, ["schema"]).stdout)
    assert "moe_inter_dim" in schema["properties"]


def test_check_reads_every_recipe() -> None:
    done = runner.invoke(cli.app, ["check"])
    assert done.exit_code == 0
    assert "kimi-k2.5-mxfp4" in done.stdout


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_wrong_shard_is_refused(part: str) -> None:
    done = runner.invoke(cli.app, ["shard", part, "--dry-run"])
    assert done.exit_code == 2


def test_a_shard_takes_every_narrowing_of_a_build() -> None:
    """It has to compile what the wheel's build looks for, so both read the same options."""
    for command in ("build", "shard"):
        shown = runner.invoke(cli.app, [command, "--help"]).stdout
        for option in ("--tp", "--block-m", "--coverage"):
            assert option in shown, command


def test_errors_of_ours_come_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recipe(tmp_path / "r.yaml", experts="many")
    monkeypatch.setattr(sys, "argv", ["prebuild", "check", str(path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 3
    assert "experts: found 'many'" in capsys.readouterr().err
