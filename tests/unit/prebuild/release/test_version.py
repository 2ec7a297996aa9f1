from __future__ import annotations

import pytest

from prebuild.core.project import Project
from prebuild.release.version import VersionError, check_version, section
from prebuild.wheel.version import project_version

CHANGELOG = "# Changelog\n\n## 1.1.0 (2026-12-24)\n\n- New.\n\n## 1.0.0 (2026-11-01)\n\n- Old.\n"


def test_tag_version_and_changelog_agree() -> None:
    check_version("1.1.0", "v1.1.0", CHANGELOG, "https://host.example/project")


def test_a_release_needs_the_repositorys_address() -> None:
    with pytest.raises(VersionError, match="repository is empty"):
        check_version("1.1.0", "v1.1.0", CHANGELOG)
    check_version("1.1.0", "", CHANGELOG)


@pytest.mark.parametrize(
    ("version", "tag", "words"),
    [("1.2.0", "v1.2.0", "begins with '1.1.0'"), ("1.1.0", "v1.0.0", "expected v1.1.0")],
)
def test_what_differs_is_named(version: str, tag: str, words: str) -> None:
    with pytest.raises(VersionError, match=words):
        check_version(version, tag, CHANGELOG)


def test_a_tag_needs_a_date_and_a_work_tree_does_not() -> None:
    undated = CHANGELOG.replace("## 1.1.0 (2026-12-24)", "## 1.1.0")
    check_version("1.1.0", "", undated)
    with pytest.raises(VersionError, match="no date"):
        check_version("1.1.0", "v1.1.0", undated)


def test_notes_are_the_versions_own_section() -> None:
    assert section(CHANGELOG, "1.1.0") == "- New."
    assert section(CHANGELOG, "1.0.0") == "- Old."
    with pytest.raises(VersionError):
        section(CHANGELOG, "2.0.0")


def test_the_projects_own_changelog_is_in_order() -> None:
    root = Project.here().root
    version = project_version(root)
    check_version(version, "", (root / "CHANGELOG.md").read_text())
