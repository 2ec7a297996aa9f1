from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from prebuild.cli import main as cli
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
