"""Which sources of AITER's were checked: the one question of serving to the book of releases.

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
