"""The pin of a release, fetched from repositories that git serves: by hash, and no other commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core import proc
from prebuild.core.errors import CommandError, ToolchainError
from prebuild.toolchain.aiter_sources import described, find_aiter, origin, require_ck
from prebuild.toolchain.pin import Pin, Pinned, PinnedAiter, fetch

_IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@host.example")


def git(folder: Path, *arguments: str) -> str:
    return proc.run(["git", "-C", folder, *_IDENTITY, *arguments]).decode().strip()


def commit(folder: Path) -> str:
    git(folder, "commit", "--quiet", "--message=all")
    return git(folder, "rev-parse", "HEAD")


def repository(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    return commit(folder)


@pytest.fixture
def pin(tmp_path: Path) -> Pin:
    """Two repositories whose pinned commits are not their newest ones."""
    ck, whole = tmp_path / "origin" / "ck", tmp_path / "origin" / "aiter"
    kernel = repository(
        ck, {"LICENSE": "MIT\n", "include/ck/ck.hpp": "// pinned\n", "test/large.cpp": "x\n"}
    )
    repository(whole, {"3rdparty/ck_helper/ck/config.h": "// AITER's\n", "csrc/a.cu": "x\n"})
    git(
        whole, "update-index", "--add", "--cacheinfo", f"160000,{kernel},3rdparty/composable_kernel"
    )
    pinning = commit(whole)
    for folder, name in ((ck, "include/ck/ck.hpp"), (whole, "csrc/a.cu")):
        (folder / name).write_text("// newer\n")
        git(folder, "add", name)
        commit(folder)
    return Pin(
        aiter=PinnedAiter(release="v1", repository=whole.as_uri(), commit=pinning),
        ck=Pinned(repository=ck.as_uri(), commit=kernel),
    )


def test_what_is_fetched_is_a_checkout_of_those_commits(pin: Pin, tmp_path: Path) -> None:
    folder = tmp_path / "fetched"
    fetch(pin, folder)
    found = find_aiter(folder)
    include = require_ck(found)
    assert (include / "ck" / "ck.hpp").read_text() == "// pinned\n"
    assert (folder / "3rdparty/ck_helper/ck/config.h").is_file()
    assert (include.parent / "LICENSE").is_file()
    assert not (include.parent / "test").exists()
    assert not (folder / "csrc").exists()
    assert described(include.parent) == pin.ck.commit
    assert origin(found) == f"AITER commit {pin.aiter.commit}"


def test_a_pin_that_is_not_that_aiters_is_refused(pin: Pin, tmp_path: Path) -> None:
    newest = git(tmp_path / "origin" / "ck", "rev-parse", "HEAD")
    other = pin.model_copy(update={"ck": pin.ck.model_copy(update={"commit": newest})})
    with pytest.raises(ToolchainError, match=f"pins {pin.ck.commit}, matrix.toml has {newest}"):
        fetch(other, tmp_path / "fetched")


def test_a_commit_that_is_not_there_ends_it(pin: Pin, tmp_path: Path) -> None:
    gone = pin.model_copy(update={"aiter": pin.aiter.model_copy(update={"commit": "0" * 40})})
    with pytest.raises(CommandError):
        fetch(gone, tmp_path / "fetched")
