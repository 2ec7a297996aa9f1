"""The installed torch, from its ``version.py``; it is not imported."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path


def version() -> str | None:
    """Return its version; None where no torch is installed or the file does not say."""
    found = re.search(r"__version__\s*=\s*['\"]([^'\"]+)", _text())
    return found[1] if found else None


def hip() -> str | None:
    """Return the HIP version that it was built with, "" for none; None as above."""
    found = re.search(r"(?m)^hip\b[^=\n]*=\s*(?:None|['\"]([^'\"]*)['\"])", _text())
    return None if found is None else found[1] or ""


def _text() -> str:
    try:
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.origin is None:
            return ""
        return (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except (ImportError, ValueError, OSError):
        return ""
