"""``prebuild aiter`` over a repository: real git, a stand-in for AITER."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiter_prebuilt.generations import load
from prebuild.aiter.repository import Repository
from prebuild.aiter.tree import AiterError
from prebuild.cli.main import app
from prebuild.core import proc
from tests.unit.prebuild.aiter.samples import FUSED, checkout


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    proc.run(["git", *who, "-C", folder, *arguments])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    proc.run(["git", "init", "-q", tmp_path])
    for tag, fused in (
        ("v0.1.9", FUSED), ("v0.1.10", FUSED), ("v0.1.10.post2", FUSED), ("v0.1.11-rc1", FUSED),
        ("v0.1.11", FUSED.replace("return M", "return 0")),
    ):  # fmt: skip
        checkout(tmp_path, fused=fused, sources=tag)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", tag)
        git(tmp_path, "tag", tag)
    return tmp_path


def test_releases_in_order_without_candidates(repository: Path) -> None:
    found = Repository.at(repository)
    assert found.releases() == ("v0.1.9", "v0.1.10", "v0.1.10.post2", "v0.1.11")
    assert Repository.at(repository / ".git").releases() == found.releases()


def test_a_tag_is_read_without_its_work_tree(repository: Path) -> None:
    found = Repository.at(repository).read("v0.1.10")
    assert (found.tag, found.ck, len(found.commit), len(found.date)) == ("v0.1.10", "", 40, 10)
    assert found.tree.facts.problems == ()
    assert found.tree.flydsl == "0.9.1"
    with pytest.raises(AiterError, match="has no v7"):
        Repository.at(repository).read("v7")
    with pytest.raises(AiterError, match=r"neither \.git nor"):
        Repository.at(repository / "aiter")


def test_the_pinned_composable_kernel_is_read_in_full(repository: Path) -> None:
    found = Repository.at(repository)
    with pytest.raises(AiterError, match=r"has no 3rdparty/composable_kernel at v0\.1\.11"):
        found.composable_kernel("v0.1.11")
    pinned = "c" * 40
    submodule = f"160000,{pinned},3rdparty/composable_kernel"
    git(repository, "update-index", "--add", "--cacheinfo", submodule)
    git(repository, "commit", "-qm", "pin")
    git(repository, "tag", "v0.1.12")
    assert found.composable_kernel("v0.1.12") == pinned
    assert found.read("v0.1.12").ck == pinned[:8]


def test_the_command_says_what_is_new(repository: Path) -> None:
    result = CliRunner().invoke(
        app, ["aiter", "--repo", str(repository), "--tag", "v0.1.11", "--json"]
    )
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    assert found["new"] == ["v0.1.11"]
    assert found["releases"][0]["changed"] == ["choice", "names", "tables"]
    text = CliRunner().invoke(app, ["aiter", "--repo", str(repository), "--tag", "v0.1.11"]).output
    assert "changed since v0.1.11" not in text  # it is its own newest known release
    assert f"new; taken for {load().newest.name}" in text


def test_the_command_reads_one_checkout(repository: Path) -> None:
    result = CliRunner().invoke(app, ["aiter", str(repository)])
    assert result.exit_code == 1
    assert "contract: fits" in result.output
    with pytest.raises(AiterError, match="name either a folder or --repo"):
        CliRunner().invoke(app, ["aiter"], catch_exceptions=False)
