"""Whether a path that somebody named is a wheel, asked before anything expensive runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

from prebuild.core.errors import PrebuildError


class NoWheelError(PrebuildError):
    """A path is no wheel; the message says what it is instead."""

    exit_code = 2


def check_wheel(path: Path) -> None:
    """Raise :class:`NoWheelError` where ``path`` is not there or no zip archive."""
    if not path.is_file():
        raise NoWheelError(f"{path}: there is no such file, expected a wheel")
    if not zipfile.is_zipfile(path):
        raise NoWheelError(f"{path} is no wheel: it is not a zip archive")
