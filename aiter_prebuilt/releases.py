"""Which sources of AITER's were checked, and what they lack: what serving asks of the releases.

Apart from :mod:`aiter_prebuilt.generations`, whose values cost 7 ms at a server's first MoE call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

BOOK = Path(__file__).parent / "data" / "aiter.json"


def checked_sources() -> Mapping[str, str]:
    """Return the fingerprint of CK2stages sources -> the newest release that has them."""
    try:
        releases = json.loads(BOOK.read_text(encoding="utf-8"))["releases"]
        return {each["parts"]["sources"]: each["tag"] for each in releases}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # a half-removed package: nothing counts as checked


def unknown_instances(sources: str | None) -> tuple[str, ...]:
    """Return parts of instance names that our modules have and AITER's with these sources have not.

    None for sources that were not checked: what an AITER calls by name it is taken to have.
    """
    try:
        book = json.loads(BOOK.read_text(encoding="utf-8"))
        mine = {r["generation"] for r in book["releases"] if r["parts"]["sources"] == sources}
        found: list[str] = []
        for generation, changes in book["generations"].items():  # each says what it changes
            found = changes.get("unknown_instances", found)
            if generation in mine:
                return tuple(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return ()
