from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import pytest

from prebuild.core.errors import ToolchainError
from prebuild.toolchain import fetch as module
from prebuild.toolchain.apt import Apt
from prebuild.toolchain.fetch import fetch, gone_error
from prebuild.toolchain.lock import Lock, LockedComponent, LockedPackage
from prebuild.toolchain.model import Silent


def package(name: str, content: bytes = b"deb") -> LockedPackage:
    return LockedPackage(
        name=name,
        version="1-1",
        suite="sid",
        sha256=hashlib.sha256(content + name.encode()).hexdigest(),
        size=len(content) + len(name),
        filename=f"pool/{name}_1-1_amd64.deb",
    )


def lock_of(*packages: LockedPackage) -> Lock:
    component = LockedComponent(name="c", packages=packages)
    return Lock(version=1, architecture="amd64", components=(component,))


class FakeMirrors(Apt):
    """apt with an archive in memory: URI to bytes, and a list of what was asked."""

    archive: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    @classmethod
    def create(cls, root: Path, **_: object) -> FakeMirrors:
        return cls(root=root, config=root)

    def download(self, jobs: object) -> str:
        missing = []
        for uri, target, _ in jobs:  # type: ignore[attr-defined]
            FakeMirrors.asked.append(uri)
            if uri in self.archive:
                target.write_bytes(self.archive[uri])
            else:
                missing.append(f"E: {uri} 404")
        return "\n".join(missing)


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> type[FakeMirrors]:
    monkeypatch.setattr(module, "Apt", FakeMirrors)
    monkeypatch.setattr(FakeMirrors, "archive", {})
    monkeypatch.setattr(FakeMirrors, "asked", [])
    return FakeMirrors


def test_mirrors_are_asked_in_turn_for_what_lacks(
    tmp_path: Path, mirrors: type[FakeMirrors]
) -> None:
    one, two = package("one"), package("two")
    mirrors.archive = {
        "a:/pool/one_1-1_amd64.deb": b"debone",
        "b:/pool/two_1-1_amd64.deb": b"debtwo",
    }
    files = fetch(lock_of(one, two), tmp_path, ["a:", "b:"], Silent())
    assert files[two.sha256].read_bytes() == b"debtwo"
    assert mirrors.asked == [
        "a:/pool/one_1-1_amd64.deb",
        "a:/pool/two_1-1_amd64.deb",
        "b:/pool/two_1-1_amd64.deb",
    ]


def test_a_file_from_before_is_kept_and_a_damaged_one_fetched_anew(
    tmp_path: Path, mirrors: type[FakeMirrors]
) -> None:
    one, two = package("one"), package("two")
    mirrors.archive = {
        "a:/pool/one_1-1_amd64.deb": b"debone",
        "a:/pool/two_1-1_amd64.deb": b"debtwo",
    }
    files = fetch(lock_of(one, two), tmp_path, ["a:"], Silent())
    files[one.sha256].write_bytes(b"half")
    mirrors.asked.clear()
    fetch(lock_of(one, two), tmp_path, ["a:"], Silent())
    assert mirrors.asked == ["a:/pool/one_1-1_amd64.deb"]
    assert files[one.sha256].read_bytes() == b"debone"


def test_other_bytes_under_the_same_name_are_refused(
    tmp_path: Path, mirrors: type[FakeMirrors], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = package("one")
    mirrors.archive = {"a:/pool/one_1-1_amd64.deb": b"forged"}
    monkeypatch.setattr(module, "_versions_there", lambda *_: {"one": "1-1"})
    with pytest.raises(ToolchainError, match="though the mirror lists them"):
        fetch(lock_of(one), tmp_path, ["a:"], Silent())
    assert list(tmp_path.iterdir()) == []


def test_gone_packages_are_all_named_with_both_versions() -> None:
    one, two, three = package("one"), package("two"), package("three")
    error = gone_error([one, two, three], {"one": "2-1", "three": "1-1"}, "E: 404")
    assert error.problems == (
        "one: pinned is 1-1 (sid), the mirror has 2-1",
        "two: pinned is 1-1 (sid), the mirror has none",
    )
    assert "prebuild toolchain lock" in error.summary
    assert "PREBUILD_DEBIAN_MIRROR" in error.summary


@pytest.mark.usefixtures("mirrors")
def test_a_mirror_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object) -> dict[str, str]:
        raise ToolchainError("no lists", ["offline"])

    monkeypatch.setattr(module, "_versions_there", offline)
    with pytest.raises(ToolchainError) as caught:
        fetch(lock_of(package("one")), tmp_path, ["a:"], Silent())
    assert "E: a:/pool/one_1-1_amd64.deb 404" in caught.value.problems
    assert "  - offline" in caught.value.problems
