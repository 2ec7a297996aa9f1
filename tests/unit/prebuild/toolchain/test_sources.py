from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings
from prebuild.toolchain import sources
from prebuild.toolchain.sources import (
    Source,
    debian_mirrors,
    parse_deb822,
    parse_one_line,
    read_sources,
)


@pytest.mark.parametrize(
    ("line", "uri", "suite"),
    [
        ("deb http://m.example/debian bookworm main", "http://m.example/debian", "bookworm"),
        ("deb\thttp://m.example/debian  sid main", "http://m.example/debian", "sid"),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://m.example/d trixie main # note",
            "http://m.example/d",
            "trixie",
        ),
        ("deb [ arch=amd64,i386 ] http://m.example/d ./", "http://m.example/d", "./"),
    ],
)
def test_one_line_form(line: str, uri: str, suite: str) -> None:
    assert list(parse_one_line(line)) == [Source(uris=(uri,), suites=(suite,))]


@pytest.mark.parametrize(
    "line",
    ["# deb http://m.example/debian sid main", "deb-src http://m.example/d sid main", "deb", ""],
)
def test_one_line_form_skips_comments_and_source_packages(line: str) -> None:
    assert list(parse_one_line(line)) == []


DEB822 = """\
Types: deb deb-src
# a comment inside
URIs: http://m.example/debian http://n.example/debian
Suites: bookworm
 bookworm-updates
Components: main
"""


def test_deb822_form() -> None:
    assert list(parse_deb822(DEB822)) == [
        Source(
            uris=("http://m.example/debian", "http://n.example/debian"),
            suites=("bookworm", "bookworm-updates"),
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Enabled: no\n" + DEB822,
        "Enabled: False\n" + DEB822,
        DEB822.replace("deb deb-src", "deb-src"),
        "Types: deb\nSuites: sid\n",
    ],
)
def test_deb822_form_skips_what_is_not_in_force(text: str) -> None:
    assert list(parse_deb822(text)) == []


def test_read_sources_takes_the_files_that_apt_takes(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian sid main\n")
    (parts / "b.sources").write_text(DEB822)
    (parts / "c.list").write_text("deb http://c.example/x y main\n")
    (parts / "d.list.disabled").write_text("deb http://d.example/debian sid main\n")
    (parts / "e.sources.save").write_text(DEB822)
    uris = [source.uris[0] for source in read_sources(tmp_path)]
    assert uris == ["http://a.example/debian", "http://m.example/debian", "http://c.example/x"]


def test_no_apt_at_all_gives_nothing(tmp_path: Path) -> None:
    assert read_sources(tmp_path / "absent") == ()


def test_mirrors_are_those_with_a_debian_release_each_once_in_order() -> None:
    sources = [
        Source(uris=("http://ppa.example/x",), suites=("nodistro",)),
        Source(uris=("http://u.example/ubuntu",), suites=("jammy", "jammy-updates")),
        Source(uris=("http://s.example/debian-security",), suites=("bookworm-security",)),
        Source(uris=("http://m.example/debian/",), suites=("bookworm", "bookworm-updates")),
        Source(uris=("http://m.example/debian", "http://n.example/debian"), suites=("sid",)),
        Source(uris=("cdrom:[Debian]/",), suites=("bookworm",)),
    ]
    assert debian_mirrors(sources) == ("http://m.example/debian", "http://n.example/debian")


def test_a_mirror_list_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "debian.list"
    file.write_text("# mirrors\nhttps://a.example/debian\tpriority:1\n\nhttps://b.example/debian\n")
    source = Source(uris=(f"mirror+file://{file}",), suites=("trixie",))
    assert debian_mirrors([source]) == ("https://a.example/debian", "https://b.example/debian")


def test_no_mirror_is_an_error_that_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "read_sources", lambda: ())
    with pytest.raises(ToolchainError, match="PREBUILD_DEBIAN_MIRROR"):
        sources.mirrors_of(Settings(cache_dir=tmp_path))
    chosen = Settings(cache_dir=tmp_path, debian_mirrors=("https://a.example/debian",))
    assert sources.mirrors_of(chosen) == ("https://a.example/debian",)
