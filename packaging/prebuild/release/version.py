"""One version in three places: pyproject.toml, the tag, the newest section of CHANGELOG.md."""

from __future__ import annotations

import re

from prebuild.core.errors import ProblemsError

_HEADING = re.compile(r"^## (\S+)(?: \((\d{4}-\d{2}-\d{2})\))?$", re.MULTILINE)


class VersionError(ProblemsError):
    """A release is not in order."""

    exit_code = 2


def check_version(version: str, tag: str, changelog: str, repository: str = "") -> None:
    """Raise :class:`VersionError` where tag or changelog say another version, or no date.

    ``tag`` may be empty: then there is no release yet, which needs no date and no ``repository``.
    """
    headings = _HEADING.findall(changelog)
    newest, date = headings[0] if headings else ("", "")
    problems = []
    if newest != version:
        problems.append(f"CHANGELOG.md begins with {newest or 'nothing'!r}, expected {version}")
    if tag and tag != f"v{version}":
        problems.append(f"the tag is {tag!r}, expected v{version} (pyproject.toml)")
    if tag and not date:
        problems.append(f"CHANGELOG.md has no date for {newest}: `## {version} (YYYY-MM-DD)`")
    if tag and not repository:
        problems.append("pyproject.toml: tool.prebuild.repository is empty, expected its address")
    if problems:
        raise VersionError("the release is not in order:", problems)


def section(changelog: str, version: str) -> str:
    """The text of one version's section; raises :class:`VersionError` where there is none."""
    found = list(_HEADING.finditer(changelog))
    for position, heading in enumerate(found):
        if heading[1] == version:
            end = found[position + 1].start() if position + 1 < len(found) else len(changelog)
            return changelog[heading.end() : end].strip()
    raise VersionError("no notes for the release page:", [f"CHANGELOG.md has no section {version}"])
