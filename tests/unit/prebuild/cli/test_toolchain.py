from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prebuild.cli import toolchain as cli
from prebuild.core.errors import ToolchainError
from prebuild.toolchain import setup
from prebuild.toolchain.model import PackageRef, Toolchain

TOOLCHAIN = Toolchain(
    kind="debian",
    root=Path("/t"),
    clangxx=Path("/t/bin/clang++"),
    hip_flags=("--config=/t/clang.cfg",),
    host_flags=("--config=/t/clang.cfg",),
    llvm_bin=Path("/t/bin"),
    ck_include=Path("/t/ck"),
    ck_version="7.2.4",
    ck_licence=None,
    hip_version="7.2.1",
    compiler_version="clang version 22",
    python_include=(Path("/t/python"),),
    hip_runtime=None,
    python=None,
    loader=("/t/ld.so", "--library-path", "/t/lib"),
    packages=(PackageRef(name="clang-22", version="1:22", sha256="ab"),),
    identity="f00",
)


def test_show_json_is_versioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "load", lambda _: TOOLCHAIN)
    shown = json.loads(CliRunner().invoke(cli.app, ["show", "--json"]).stdout)
    assert shown["schema_version"] == 1
    assert shown["identity"] == "f00"
    assert shown["packages"] == [{"name": "clang-22", "version": "1:22", "sha256": "ab"}]
    assert shown["hip_runtime"] is None


def test_show_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "load", lambda _: TOOLCHAIN)
    lines = CliRunner().invoke(cli.app, ["show"]).stdout.splitlines()
    assert "ck_version        7.2.4" in lines
    assert "packages          1" in lines


def test_plain_progress_speaks_at_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    progress = cli.PlainProgress()
    progress.step("unpacking", total=2_000_000)
    progress.advance(1_000_000)
    assert capsys.readouterr().err == "toolchain: unpacking (2 MB)\n"


def test_run_command_goes_through_the_loader() -> None:
    command = TOOLCHAIN.run_command(Path("/p"), "-v")
    assert command == ("/t/ld.so", "--library-path", "/t/lib", "/p", "-v")
    assert replace(TOOLCHAIN, loader=()).run_command(Path("/p")) == ("/p",)


def test_an_absent_tool_is_named() -> None:
    with pytest.raises(ToolchainError, match="has no llvm-absent"):
        TOOLCHAIN.tool("llvm-absent")
