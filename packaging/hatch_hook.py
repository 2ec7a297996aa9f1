"""Hatchling's hooks: the version, and the staged modules with the wheel's Python tag."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

VERSION_VARIABLE = "PREBUILD_WHEEL_VERSION"
"""Set by the backend while a wheel is packed: the version with its local label."""


class Version(MetadataHookInterface):
    """The version of ``[tool.prebuild]``, or the one of the wheel that is being packed."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set it in ``metadata``."""
        text = (Path(self.root) / "pyproject.toml").read_text(encoding="utf-8")
        published = tomllib.loads(text)["tool"]["prebuild"]["version"]
        metadata["version"] = os.environ.get(VERSION_VARIABLE) or published


class StagedModules(BuildHookInterface[Any]):
    """Include what ``prebuild.wheel.stage`` laid out; an editable install has no modules."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add files and tag to ``build_data``."""
        if version == "editable":
            return
        root = Path(self.root)
        staged = root / "build" / "stage"
        include = json.loads((staged / "include.json").read_text())
        # abi3 with the floor of Py_LIMITED_API; auditwheel replaces the platform.
        build_data["tag"] = "cp310-abi3-linux_x86_64"
        build_data["pure_python"] = False
        sboms = sorted((staged / "sboms").iterdir())
        build_data["sbom_files"] += [path.relative_to(root).as_posix() for path in sboms]
        build_data["force_include"] |= {str(staged / at): to for at, to in include.items()}
        build_data["force_include"] |= {
            str(path): path.name for path in sorted((root / "packaging" / "site").iterdir())
        }
