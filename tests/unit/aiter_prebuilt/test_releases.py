from __future__ import annotations

from pathlib import Path

import pytest

from aiter_prebuilt import generations, releases


def test_the_newest_release_of_each_fingerprint() -> None:
    assert releases.checked_sources() == generations.load().sources


@pytest.mark.parametrize("text", [None, "{", "[]", '{"releases": [{}]}'])
def test_without_the_book_nothing_counts_as_checked(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "aiter.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(releases, "BOOK", path)
    assert releases.checked_sources() == {}
    assert releases.unknown_instances("x") == ()


def test_what_the_sources_of_each_release_lack() -> None:
    book = generations.load()
    for release in book.releases:
        lacks = book.generations[release.generation].unknown_instances
        assert releases.unknown_instances(release.parts.sources) == lacks, release.tag
    assert releases.unknown_instances("of nobody") == releases.unknown_instances(None) == ()
