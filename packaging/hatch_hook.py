"""Hatchling's hooks: the version, and the staged modules with the wheel's Python tag."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

VERSION_VARIABLE = "PREBUILD_WHEEL_VERSION"
"""Set by the backend while a wheel is packed: the version with its local label."""


_RELATIVE_LINK = re.compile(r"\]\((?!https?://|#)([^)\s]+)\)")
_LINK_WITHIN = re.compile(r"\]\((#[^)\s]+)\)")


class Metadata(MetadataHookInterface):
    """What depends on the build or on where the project is hosted: version, readme, URLs."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set them in ``metadata``."""
        root = Path(self.root)
        text = (root / "pyproject.toml").read_text(encoding="utf-8")
        own = tomllib.loads(text)["tool"]["prebuild"]
        readme = (root / "README.md").read_text(encoding="utf-8")
        metadata["version"] = os.environ.get(VERSION_VARIABLE) or own["version"]
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(readme, own["repository"], own["version"]),
        }
        metadata["urls"] = urls(own["repository"])


def urls(repository: str) -> dict[str, str]:
    """Return the links beside the package's page."""
    report = {"Why": "https://github.com/ROCm/aiter/issues/3566"}
    if not repository:
        return report
    pages = {
        "Source": "",
        "Documentation": "/tree/main/docs",
        "Changelog": "/blob/main/CHANGELOG.md",
        "Issues": "/issues",
    }
    return {**{name: f"{repository}{page}" for name, page in pages.items()}, **report}


def absolute(readme: str, repository: str, version: str) -> str:
    """Return the text with links that work outside of the repository, at the version's tag.

    Those within the page, too: the package index gives its headings other anchors.
    """
    if not repository:
        return readme
    at_tag = f"{repository}/blob/v{version}"
    return _LINK_WITHIN.sub(
        rf"]({at_tag}/README.md\1)", _RELATIVE_LINK.sub(rf"]({at_tag}/\1)", readme)
    )


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
