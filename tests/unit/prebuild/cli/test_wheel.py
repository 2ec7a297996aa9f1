from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from prebuild.cli import main as cli
from prebuild.cli import wheel
from prebuild.core.errors import PrebuildError
from tests.unit.aiter_prebuilt import samples

runner = CliRunner()


@pytest.mark.parametrize(
    ("arguments", "code", "texts"),
    [
        ([], 2, ["--all", "kimi-k2.5-mxfp4"]),
        (["--all", "kimi-k2.5-mxfp4"], 2, ["name recipes, or --all"]),
        (["kimi"], 3, ["kimi", "no such recipe", "kimi-k2.5-mxfp4"]),
        (["kimi-k2.5-mxfp4", "--tp", "3"], 3, ["tensor-parallel size 3", "1, 2, 4"]),
        (["kimi-k2.5-mxfp4", "--tp", "two"], 2, ["'two'", "whole numbers"]),
        (["kimi-k2.5-mxfp4", "--block-m", "0"], 2, ["'0'", "whole numbers"]),
        (["kimi-k2.5-mxfp4", "--verify", "no"], 2, ["'no'", "stop, report, off"]),
    ],
)
def test_a_slip_is_told_before_anything_is_installed(
    arguments: list[str], code: int, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel.toolchain, "install", lambda: pytest.fail("too late"))
    done = runner.invoke(cli.app, ["wheel", *arguments])
    assert isinstance(done.exception, PrebuildError)
    assert done.exception.exit_code == code
    for text in texts:
        assert text in str(done.exception)


def test_sizes_may_stand_together_or_apart() -> None:
    together = runner.invoke(cli.app, ["plan", "kimi-k2.5-mxfp4", "--tp", "2,4"])
    apart = runner.invoke(cli.app, ["plan", "kimi-k2.5-mxfp4", "--tp", "2", "--tp", "4"])
    assert together.exit_code == 0
    assert together.stdout == apart.stdout


def test_a_build_ends_with_the_wheel_and_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "dist" / "one-1.0+full.k0-py3-none-any.whl"
    path.parent.mkdir()
    path.write_bytes(b"0" * 250_000)
    first, *modules, last = wheel.described(path, samples.manifest(version="1.0+full.k0"))
    assert first == "dist/one-1.0+full.k0-py3-none-any.whl  0.25 MB, version 1.0+full.k0"
    assert len(modules) == 1
    assert samples.STOCK in modules[0]
    assert "kernels" in modules[0]
    assert last == "pip install dist/one-1.0+full.k0-py3-none-any.whl"
