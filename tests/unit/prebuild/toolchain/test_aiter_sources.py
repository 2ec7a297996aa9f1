from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from prebuild.core import proc
from prebuild.core.errors import CommandError, ToolchainError
from prebuild.toolchain import aiter_sources as sources

CK = Path("3rdparty/composable_kernel/include/ck")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "aiter"
    (root / "csrc" / "ck_gemm_moe_2stages_codegen").mkdir(parents=True)
    (root / "aiter").mkdir()
    (root / ".git").mkdir()
    return root


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site-packages"
    (root / "aiter_meta" / CK).mkdir(parents=True)
    (root / "aiter").mkdir()
    return root


def answers(monkeypatch: pytest.MonkeyPatch, said: dict[str, str]) -> None:
    """git answers by its subcommand, and fails where nothing is said."""

    def run(command: Sequence[str | Path], **_: object) -> bytes:
        words = [str(part) for part in command]
        name = " ".join(words[3:5])
        if name not in said:
            raise CommandError(words, 128, "fatal")
        return f"{said[name]}\n".encode()

    monkeypatch.setattr(proc, "run", run)


def test_a_checkout_holds_sources_package_and_composable_kernel(checkout: Path) -> None:
    (checkout / CK).mkdir(parents=True)
    found = sources.find_aiter(checkout)
    assert (found.root, found.package) == (checkout, checkout / "aiter")
    assert sources.require_ck(found) == checkout / CK.parent


@pytest.mark.parametrize("name", [".", "aiter", "aiter_meta"])
def test_an_installed_aiter_is_found_from_either_of_its_packages(site: Path, name: str) -> None:
    found = sources.find_aiter(site / name)
    assert (found.root, found.package) == (site / "aiter_meta", site / "aiter")
    assert sources.require_ck(found) == site / "aiter_meta" / CK.parent


def test_a_checkout_without_its_submodule_says_what_to_run(checkout: Path) -> None:
    (checkout / "3rdparty" / "composable_kernel").mkdir(parents=True)
    command = f"git -C {checkout} submodule update --init 3rdparty/composable_kernel"
    with pytest.raises(ToolchainError, match=command):
        sources.require_ck(sources.find_aiter(checkout))


def test_an_aiter_installed_without_composable_kernel_asks_for_a_checkout(site: Path) -> None:
    (site / "aiter_meta" / CK).rmdir()
    with pytest.raises(ToolchainError, match="came without its composable kernel"):
        sources.require_ck(sources.find_aiter(site))


def test_any_other_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="expected is a checkout"):
        sources.find_aiter(tmp_path)


def test_a_checkout_is_named_by_tag_and_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"rev-parse --show-toplevel": str(checkout), "describe --always": "c" * 40}
    answers(monkeypatch, said)
    assert sources.origin(sources.find_aiter(checkout)) == f"AITER commit {'c' * 40}"
    answers(monkeypatch, {**said, "describe --tags": "v0.1.20"})
    assert sources.origin(sources.find_aiter(checkout)) == f"AITER v0.1.20 (commit {'c' * 40})"


def test_one_that_nothing_names_is_not_certain(
    checkout: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"rev-parse --show-toplevel": str(checkout), "describe --tags": "v0.1.20"}
    answers(monkeypatch, said)
    unread = sources.origin(sources.find_aiter(checkout))
    assert unread == "an AITER checkout that git does not read"
    answers(monkeypatch, {**said, "describe --always": f"{'c' * 40}-dirty"})
    changed = sources.origin(sources.find_aiter(checkout))
    unversioned = sources.origin(sources.find_aiter(site))
    answers(monkeypatch, {**said, "describe --always": "c" * 40})
    named = sources.origin(sources.find_aiter(checkout))
    found = [sources.is_certain(each) for each in (unread, changed, unversioned, named)]
    assert found == [False, False, False, True]


def test_an_installed_one_is_named_by_its_version(site: Path) -> None:
    found = sources.find_aiter(site)
    assert sources.origin(found) == "an AITER without a version"
    (site / "aiter_prebuilt_gfx950-0.1.0.dist-info").mkdir()
    (site / "amd_aiter-0.1.20.post1.dist-info").mkdir()
    assert sources.origin(found) == "AITER 0.1.20.post1, installed"


def test_a_folder_in_another_repository_has_no_commit_of_its_own(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = checkout / "3rdparty" / "composable_kernel"
    inside.mkdir(parents=True)
    said = {"rev-parse --show-toplevel": str(checkout), "describe --always": "c" * 40}
    answers(monkeypatch, said)
    assert sources.described(inside) == ""
    assert sources.described(checkout) == "c" * 40
    answers(monkeypatch, {})
    assert sources.described(checkout) == ""
