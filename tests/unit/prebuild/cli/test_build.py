from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from prebuild.cli import build as building
from prebuild.cli import main as cli
from prebuild.compile.costs import CostBook
from prebuild.core.model import Plan
from prebuild.core.settings import Settings
from prebuild.pipeline import build as pipeline
from tests.unit.prebuild.samples import FLAGS, SOURCE, toolchain

runner = CliRunner()


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_wrong_shard_is_refused(part: str) -> None:
    done = runner.invoke(cli.app, ["shard", part, "--dry-run"])
    assert done.exit_code == 2


def test_a_shard_takes_every_narrowing_of_a_build() -> None:
    """It has to compile what the wheel's build looks for, so both read the same options."""
    for command in ("build", "shard"):
        shown = runner.invoke(cli.app, [command, "--help"]).stdout
        for option in ("--tp", "--block-m", "--coverage", "--launcher"):
            assert option in shown, command


def test_a_folder_that_cannot_be_removed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "build").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(building.Project, "here", lambda: SimpleNamespace(build=tmp_path / "build"))
    done = runner.invoke(cli.app, ["clean"])
    assert "remove it yourself" in str(done.exception)
    assert "removed" not in done.stdout


def test_a_cache_of_its_own_is_where_the_build_keeps_its_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches: list[Path] = []

    def build(_prepared: Any, *, settings: Any, **_rest: Any) -> Any:
        caches.append(settings.cache_dir)
        return SimpleNamespace(compiled=SimpleNamespace(compiled=(), cached=(), jobs=1), seconds=0)

    shared = Settings(cache_dir=tmp_path / "shared")
    prepared = pipeline.Prepared(
        plan=Plan(modules=(), recipes={}, exclusions=()),
        toolchain=toolchain(tmp_path),
        flags=FLAGS,
        modules=(),
        work=tmp_path,
        book=CostBook(tmp_path / "costs.json"),
        source=SOURCE,
    )
    monkeypatch.setattr(building, "_prepared", lambda *_: (prepared, shared))
    monkeypatch.setattr(pipeline, "build", build)
    monkeypatch.setattr(pipeline, "inspect_modules", lambda _: ())
    for options in ([], ["--cache", str(tmp_path / "own")]):
        done = runner.invoke(cli.app, ["build", "kimi-k2.5-mxfp4", *options])
        assert done.exit_code == 0, done.exception
    assert caches == [tmp_path / "shared", tmp_path / "own"]
