from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core import proc
from prebuild.core.errors import CommandError, ToolchainError
from prebuild.toolchain import apt as module
from prebuild.toolchain.apt import Apt, complaints, require_tools
from prebuild.toolchain.lock import Component
from prebuild.toolchain.relock import preferences

POLICY = """\
clang-22:
  Installed: (none)
  Candidate: 1:22.1.8-3
  Version table:
     1:22.1.8-3 500
gone:
  Installed: (none)
  Candidate: (none)
  Version table:
"""

SIMULATED = """\
Reading package lists...
The following NEW packages will be installed:
  clang-22 libc6
Inst libc6 (2.43-7 Debian:unstable [amd64])
Inst clang-22:amd64 [1:21] (1:22.1.8-3 Debian:unstable [amd64]) []
Conf libc6 (2.43-7 Debian:unstable [amd64])
"""


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    (tmp_path / "etc" / "apt").mkdir(parents=True)
    (tmp_path / "var" / "lib" / "dpkg").mkdir(parents=True)
    (tmp_path / "etc" / "apt" / "preferences").touch()
    return Apt(root=tmp_path, config=tmp_path / "apt.conf")


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> list[tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: object) -> bytes:
        asked.append(tuple(str(part) for part in command))
        return text.encode()

    monkeypatch.setattr(proc, "run", run)
    return asked


def test_candidates_leave_out_what_the_archive_lacks(
    apt: Apt, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, POLICY)
    assert apt.candidates(["clang-22", "gone"]) == {"clang-22": "1:22.1.8-3"}


def test_resolve_reads_the_simulation(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, SIMULATED)
    assert apt.resolve(["clang-22"]) == {"libc6": "2.43-7", "clang-22": "1:22.1.8-3"}


def test_assumed_packages_are_installed_and_pinned(apt: Apt) -> None:
    apt.assume({"perl": "5.40.1-2"})
    status = (apt.root / "var/lib/dpkg/status").read_text()
    assert "Package: perl\nStatus: install ok installed\n" in status
    assert "Version: 5.40.1-2\n" in status
    assert "Package: perl\nPin: release a=now\n" in (apt.root / "etc/apt/preferences").read_text()


def test_download_passes_uri_target_and_hash(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, "")
    assert apt.download([("u", Path("/t"), "ab")]) == ""
    assert asked[0][1:] == ("download-file", "u", "/t", "SHA256:ab")


def test_download_returns_the_complaints(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: tuple[str, ...], **_: object) -> bytes:
        raise CommandError([str(part) for part in command], 100, "Get:1 u\nE: 404  Not Found\n")

    monkeypatch.setattr(proc, "run", fail)
    assert apt.download([("u", Path("/t"), "ab")]) == "E: 404  Not Found"


def test_complaints_are_few_and_each_once() -> None:
    output = "noise\n" + "".join(f"E: file {number % 8}\n" for number in range(16))
    lines = complaints(output).splitlines()
    assert lines[0] == "E: file 0"
    assert lines[-1] == "... and 2 more"
    assert len(lines) == 7


def test_missing_programs_are_named_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "APT_HELPER", tmp_path / "apt-helper")
    with pytest.raises(ToolchainError) as caught:
        require_tools(("dpkg-deb", "tar"))
    assert caught.value.exit_code == 4
    assert len(caught.value.problems) == 3


def test_no_keyring_says_which_package_has_it(
    apt: Apt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEYRING", tmp_path / "absent.gpg")
    with pytest.raises(ToolchainError, match="debian-archive-keyring"):
        apt.update()


def test_preferences_take_the_first_suite_for_named_packages_only() -> None:
    component = Component(
        name="c", into=".", suites=("experimental", "sid"), roots=("a",), prefer=("hip*", "b")
    )
    stanzas = preferences(component).split("\n\n")
    assert stanzas[0] == "Package: hip* b\nPin: release n=rc-buggy\nPin-Priority: 990"
    assert stanzas[1] == "Package: *\nPin: release n=sid\nPin-Priority: 500"
    assert preferences(component.model_copy(update={"suites": ("bullseye",)})) == ""
