"""docs/answers.md explains every code that the log or ``doctor`` can give, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from aiter_prebuilt.reason import CODES

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "aiter_prebuilt"


def explained() -> tuple[set[str], set[str]]:
    """The codes of the page's two tables: of the log, and of ``doctor``."""
    text = (ROOT / "docs" / "answers.md").read_text()
    _, log, doctor = re.split(r"(?m)^\| code \|.*$", text)
    return _codes(log), _codes(doctor)


def _codes(table: str) -> set[str]:
    rows = re.findall(r"(?m)^\| (`[^|]*)\|", table)
    return {code for row in rows for code in re.findall(r"`([a-z0-9-]+)`", row)}


def logged() -> set[str]:
    """Reasons, and what else the runtime notes with :func:`record.add`."""
    added = {
        code
        for path in (RUNTIME / "serve").glob("*.py")
        for code in re.findall(r'record\.add\(\s*[^,]+,\s*"([a-z0-9-]+)"', path.read_text())
    }
    assert {"served", "uncovered", "setting", "off"} <= added, "the pattern does not fit any more"
    return added | set(CODES)


def test_every_line_of_the_log_is_explained() -> None:
    assert explained()[0] == logged()


def test_everything_that_needs_attention_is_explained() -> None:
    sources = ((RUNTIME / "tools" / name).read_text() for name in ("doctor.py", "supply.py"))
    given = {code for text in sources for code in re.findall(r'code="([a-z-]+)"', text)}
    assert len(given) > 5
    assert explained()[1] == given - explained()[0]
