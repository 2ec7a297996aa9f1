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


def own_version(
    base: str, modules: Sequence[Module], build: BuildRecord, package: str, *, verified: bool
) -> str:
    """Return ``<base>+<coverage>.k<8 hex digits>``; ``.unverified`` before the k where it is so.

    The digits follow from the modules' bytes, the compiler, its flags, the composable kernel and
    ``package``, the digest of the runtime's own files: the same content has the same version.
    """
    coverages = {module.coverage for module in modules}
    label = "deployed" if "deployed" in coverages else "full"
    doubt = "" if verified else ".unverified"
    return f"{base}+{label}{doubt}.k{_digest(modules, build, package)}"


def package_files(root: Path) -> list[Path]:
    """Return the files of the runtime package in the checkout at ``root``, in order."""
    files = sorted((root / "aiter_prebuilt").rglob("*"))
    return [path for path in files if path.is_file() and "__pycache__" not in path.parts]


def package_digest(root: Path) -> str:
    """Return the sha256 over names and content of :func:`package_files`."""
    digest = hashlib.sha256()
    for path in package_files(root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(root).as_posix()}\n".encode())
    return digest.hexdigest()


def _digest(modules: Sequence[Module], build: BuildRecord, package: str) -> str:
    """Eight hex digits; behind a letter, since PEP 440 drops the leading zeros of a number."""
    content = {
        "package": package,
        "modules": sorted((module.key, module.sha256) for module in modules),
        "compiler": [build.compiler, build.code_generator],
        "composable kernel": build.ck_version,
        "flags": build.device_flags,
        "left out": sorted((left.what, left.reason) for left in build.left_out),
        "AITER's own": sorted(
            (kernel.symbol, kernel.as_aiter)
            for module in modules
            for instance in module.instances
            for kernel in instance.kernels
        ),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
