"""The metadata that depends on the build and on where the project is hosted."""

from __future__ import annotations

from pathlib import Path

import pytest

import hatch_hook as hook

ROOT = Path(__file__).parents[2]
HERE = "https://host.example/team/project"


def metadata(monkeypatch: pytest.MonkeyPatch, version: str = "") -> dict[str, object]:
    monkeypatch.setenv(hook.VERSION_VARIABLE, version)
    found: dict[str, object] = {}
    hook.Metadata(str(ROOT), {}).update(found)
    return found


def test_the_version_is_the_published_one_or_the_wheels_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "+" not in str(metadata(monkeypatch)["version"])
    assert metadata(monkeypatch, "1.0+full.k0")["version"] == "1.0+full.k0"


def test_links_of_the_page_lead_to_the_tag() -> None:
    text = "[a](docs/a.md#b) [c](#c) [d](https://other.example/x)"
    at_tag = f"{HERE}/blob/v1.2.3"
    expected = f"[a]({at_tag}/docs/a.md#b) [c]({at_tag}/README.md#c) [d](https://other.example/x)"
    assert hook.absolute(text, HERE, "1.2.3") == expected
    assert hook.absolute(text, "", "1.2.3") == text


def test_every_file_that_the_readme_links_to_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    names = [name.partition("#")[0] for name in hook._RELATIVE_LINK.findall(readme)]
    assert len(names) > 5
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_links_beside_the_page() -> None:
    assert set(hook.urls(HERE)) == {"Source", "Documentation", "Changelog", "Issues", "Why"}
    assert list(hook.urls("")) == ["Why"]
