"""The version of a wheel: one that is not the published one says so in a local label (PEP 440).

pip takes a local version for another version than the published one, so a wheel of one's own is
never "already satisfied", and every place that shows a version shows that it is one's own.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

from aiter_prebuilt.wheel.manifest import BuildRecord, Module


def project_version(root: Path) -> str:
    """Return the version that the checkout at ``root`` would publish."""
    return _own(root, "version")


def project_repository(root: Path) -> str:
    """Return the address of the repository, empty where nobody has set it."""
    return _own(root, "repository")


def _own(root: Path, key: str) -> str:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["tool"]["prebuild"][key])


def own_version(base: str, modules: Sequence[Module], build: BuildRecord) -> str:
    """Return ``<base>+<coverage>.k<8 hex digits>``.

    The digits follow from the modules' keys, the compiler, its flags and the composable kernel:
    the same content has the same version.
    """
    coverages = {module.coverage for module in modules}
    label = "deployed" if "deployed" in coverages else "full"
    return f"{base}+{label}.k{_digest(modules, build)}"


def _digest(modules: Sequence[Module], build: BuildRecord) -> str:
    """Eight hex digits; behind a letter, since PEP 440 drops the leading zeros of a number."""
    content = {
        "modules": sorted(module.key for module in modules),
        "compiler": [build.compiler, build.code_generator],
        "composable kernel": build.ck_version,
        "flags": build.device_flags,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
