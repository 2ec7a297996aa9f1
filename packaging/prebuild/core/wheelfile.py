"""Whether a path that somebody named is a wheel, and the manifest of an unpacked one."""

from __future__ import annotations

import zipfile
from pathlib import Path

from aiter_prebuilt.wheel.manifest import Manifest, ManifestError, parse
from prebuild.core.errors import PrebuildError, why


class NoWheelError(PrebuildError):
    """A path is no wheel; the message says what it is instead."""

    exit_code = 2


def check_wheel(path: Path) -> None:
    """Raise :class:`NoWheelError` where ``path`` is not there or no zip archive."""
    if not path.is_file():
        raise NoWheelError(f"{path}: there is no such file, expected a wheel")
    if not zipfile.is_zipfile(path):
        raise NoWheelError(f"{path} is no wheel: it is not a zip archive")


class WrongManifestError(PrebuildError):
    """A manifest cannot be read; the message says what is wrong with it."""

    exit_code = 2


def read_manifest(file: Path) -> Manifest:
    """Read a manifest that somebody named; raises :class:`WrongManifestError`."""
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ManifestError) as error:
        raise WrongManifestError(f"{file}: {why(error)}") from error
