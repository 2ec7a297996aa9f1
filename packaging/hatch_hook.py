"""Hatchling's build hook: takes the staged modules into the wheel and sets its Python tag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


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
