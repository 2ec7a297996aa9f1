"""What git says of a folder."""

from __future__ import annotations

from pathlib import Path

from prebuild.core import proc


def git(folder: Path, *arguments: str) -> str:
    """Run git in ``folder`` and return what it prints; raises ``CommandError`` where it fails."""
    return proc.run(["git", "-C", folder, *arguments]).decode().strip()
