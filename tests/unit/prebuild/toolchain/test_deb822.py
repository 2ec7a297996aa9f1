from __future__ import annotations

from prebuild.toolchain.deb822 import paragraphs


def test_paragraphs_comments_and_continuations() -> None:
    text = "# head\n\nPackage: a\nDepends: b,\n# between\n c\nVERSION: 1:2\n\n \nPackage: d\n"
    assert list(paragraphs(text)) == [
        {"package": "a", "depends": "b,\nc", "version": "1:2"},
        {"package": "d"},
    ]


def test_nothing_gives_nothing() -> None:
    assert list(paragraphs("\n# only a comment\n\n")) == []


def test_a_continuation_without_a_field_is_ignored() -> None:
    assert list(paragraphs(" lost\nA: b\n")) == [{"a": "b"}]
