"""The entry of ``aiter-prebuilt``: damaged code of this package is an error in one line, too."""

from __future__ import annotations

import sys

_FAILED = 3


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        from aiter_prebuilt.tools import cli
    except Exception as error:  # whatever a damaged file raises: a SyntaxError, an AttributeError
        where = getattr(error, "filename", None) or getattr(error, "path", None) or "a file of it"
        why = f"{type(error).__name__}: {getattr(error, 'msg', None) or error}"
        sys.stderr.write(f"aiter-prebuilt: the package is damaged ({where}, {why}): reinstall it\n")
        return _FAILED
    return cli.main()
