"""What one AITER is: read from a checkout or an installed package, nothing of it imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiter_prebuilt.generations import Parts
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import parts
from prebuild.core.errors import ProblemsError

FILES = (
    "aiter/fused_moe.py",
    "aiter/jit/core.py",
    "aiter/jit/optCompilerConfig.json",
    "aiter/jit/utils/chip_info.py",
    "aiter/ops/flydsl/mxfp4_kname.py",
    "aiter/ops/flydsl/utils.py",
    "aiter/ops/moe_op.py",
    "csrc/ck_gemm_moe_2stages_codegen",
    "csrc/include/aiter_enum.h",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
)
"""All that is read of a checkout."""

_PINS = ("requirements.txt", "setup.py", "pyproject.toml")
_FLYDSL = re.compile(r"flydsl\s*(?:==\s*)?((?:[<>~!]=?)?\s*\d[\w.+]*(?:,[<>~!]=?[\w.+]+)*)", re.I)
_PRELOAD = re.compile(r"amdgpu-kernarg-preload-count=(\d+)")
_ARCH_CHECK = "def _needs_arch_rebuild("


class AiterError(ProblemsError):
    """No AITER where one was named, or one that lacks what has to be read."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class Tree:
    """One AITER, as its files say."""

    root: Path
    """The package's folder."""
    parts: Parts
    definitions: Mapping[str, str]
    """``file:name`` -> fingerprint of each definition that decides."""
    facts: contract.AiterFacts
    flydsl: str | None
    """The FlyDSL that it pins, None where it pins none or the files with pins are not there."""
    kernarg_preload: int | None
    arch_check: bool


def read(path: Path) -> Tree:
    """Read the AITER at ``path``: a checkout, or the folder of an installed package.

    Raises AiterError where there is none.
    """
    root = path / "aiter" if (path / "aiter" / "fused_moe.py").is_file() else path
    if not (root / "fused_moe.py").is_file():
        raise AiterError(
            "no AITER:",
            [f"{path} has no aiter/fused_moe.py; name a checkout, or the folder of the package"],
        )
    facts = contract.gather(root, None)
    every = {**parts.CHOICE, **parts.NAMES, **parts.TABLES}
    return Tree(
        root=root,
        parts=parts.read(root, facts.fingerprint),
        definitions=parts.definitions(root, every),
        facts=facts,
        flydsl=_flydsl(root.parent),
        kernarg_preload=_preload(root / "jit"),
        arch_check=_ARCH_CHECK in _text(root / "jit" / "core.py"),
    )


def changed(old: Tree, new: Tree) -> tuple[str, ...]:
    """Return the definitions that differ, as ``file:name``."""
    names = sorted({*old.definitions, *new.definitions})
    return tuple(name for name in names if old.definitions.get(name) != new.definitions.get(name))


def _flydsl(folder: Path) -> str | None:
    found = (_FLYDSL.search(_text(folder / name)) for name in _PINS)
    return next((match[1] for match in found if match), None)


def _preload(jit: Path) -> int | None:
    for name in ("core.py", "optCompilerConfig.json"):
        found = _PRELOAD.search(_text(jit / name))
        if found:
            return int(found[1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
