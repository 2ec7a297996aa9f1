"""``prebuild aiter`` over a repository: real git, a stand-in for AITER."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiter_prebuilt.generations import load, parse
from prebuild.aiter import pages, reach
from prebuild.aiter.repository import Repository
from prebuild.aiter.tree import AiterError
from prebuild.cli.main import app
from prebuild.core import proc
from prebuild.core.project import Project
from tests.unit.prebuild.aiter.samples import FUSED, checkout
from tests.unit.prebuild.tuned.samples import FLYDSL, row, write

RECIPE = "kimi-k2.5-mxfp4"
BEFORE = reach.load()


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
        (tmp_path / "aiter" / "configs").mkdir(exist_ok=True)
        write(tmp_path / "aiter" / "configs" / "tuned_fmoe.csv", row(kernelName2=FLYDSL))
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


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the command writes, and of the recipes."""
    root, real = tmp_path_factory.mktemp("project"), Project.here()
    for name in ("README.md", "docs", "recipes", "aiter_prebuilt/data"):
        (root / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (real.root / name).is_dir() else shutil.copy
        copy(real.root / name, root / name)
    monkeypatch.setattr(Project, "here", lambda: Project(root=root))
    monkeypatch.setattr(reach, "FILE", Path(shutil.copy(reach.FILE, root)))
    return root


def test_the_command_writes_data_and_documents(repository: Path, project: Path) -> None:
    command = ["aiter", "--repo", str(repository), "--tag", "v0.1.11", "--as", "v0.1.15"]
    result = CliRunner().invoke(app, [*command, "--write"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    book = parse(json.loads((project / "aiter_prebuilt/data/aiter.json").read_text()))
    every = reach.load()
    assert all(text == path.read_text() for path, text in pages.written(project, book, every))
    by_release = {(each.release, each.flydsl): each for each in every if each.recipe == RECIPE}
    counts = {flydsl: by_release["v0.1.11", flydsl].counts for flydsl in (True, False)}
    assert counts[True][4] == {"ck2stages": 29, "flydsl": 1, "cktile": 6}
    assert counts[False][4] == {"ck2stages": 30, "cktile": 6}
    assert by_release["v0.1.10.post2", True] in BEFORE  # what was not read stays
    row = next(line for line in pages.models(book, every) if "**29**; 1 FlyDSL; 6 CK-Tile" in line)
    assert row.split(" | ")[:2] == [f"| `{RECIPE}`", "v0.1.11"]
    assert row in (project / "docs/models.md").read_text()
