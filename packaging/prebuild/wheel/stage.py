"""Lay out what goes into the wheel beside the runtime's Python files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, Manifest, dump

PLAN_FILE = "include.json"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A folder with the wheel's files and the list that the build hook reads."""

    directory: Path
    include: Mapping[str, str]
    """Path below ``directory`` -> path in the wheel."""


def stage(
    manifest: Manifest,
    modules: Sequence[Path],
    *,
    licences: Mapping[str, Path],
    sboms: Mapping[str, str],
    directory: Path,
) -> Staged:
    """Copy modules, manifest and licences to ``directory`` and write the list of them.

    ``sboms`` (name -> text) go to ``directory/sboms``, from where the build hook takes them into
    the wheel's metadata (PEP 770).

    What an earlier stage left there is removed first: a wheel holds what its manifest names.
    """
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "modules").mkdir(parents=True)
    include = {}
    for module in sorted(modules):
        shutil.copyfile(module, directory / "modules" / module.name)
        include[f"modules/{module.name}"] = f"aiter_prebuilt/modules/{module.name}"
    for name, source in sorted(licences.items()):
        target = directory / "licences" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
        include[f"licences/{name}"] = f"aiter_prebuilt/licences/{name}"
    for name, text in sorted(sboms.items()):
        target = directory / "sboms" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
    include[MANIFEST_NAME] = f"aiter_prebuilt/{MANIFEST_NAME}"
    (directory / PLAN_FILE).write_text(json.dumps(include, indent=1, sort_keys=True))
    staged = Staged(directory=directory, include=include)
    write_manifest(manifest, staged)
    return staged


def write_manifest(manifest: Manifest, staged: Staged) -> None:
    """Put the manifest among the staged files, in place of an earlier one."""
    (staged.directory / MANIFEST_NAME).write_text(dump(manifest), encoding="utf-8")
