"""Where the project's own files lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Project:
    """The folders of a checkout (or an unpacked sdist)."""

    root: Path

    @classmethod
    def here(cls) -> Project:
        """The checkout that this module belongs to."""
        return cls(root=Path(__file__).resolve().parents[3])

    @property
    def csrc(self) -> Path:
        """Hand-written C++."""
        return self.root / "csrc"

    @property
    def templates(self) -> Path:
        """Templates of generated sources."""
        return self.csrc / "templates"

    @property
    def recipes(self) -> Path:
        """Deployments."""
        return self.root / "recipes"

    @property
    def matrix(self) -> Path:
        """What a release is built with, and against what it is proven."""
        return self.root / "packaging" / "matrix.toml"

    @property
    def aiter_code(self) -> Path:
        """Which kernels were seen to be AITER's own."""
        return self.root / "packaging" / "aiter_code.json"

    @property
    def build(self) -> Path:
        """Where builds go unless the caller says otherwise."""
        return self.root / "build"
