"""Composable kernel's headers from a checkout that the caller names, instead of the toolchain's.

AITER pins a newer composable kernel than a ROCm release ships.  The sources adapt to what the
headers can do; the manifest says which they were and where they came from.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings
from prebuild.toolchain.aiter_sources import described, find_aiter, origin, require_ck
from prebuild.toolchain.headers import CK_HEADER
from prebuild.toolchain.model import Toolchain

_CONFIG = Path("ck/config.h")
_GPU = Path("ck/tensor_operation/gpu")
_ABILITIES = {
    # In between a part read beyond the end of its operands (rocm-libraries pull request 5086), and
    # from the ninth on scales of other weights.
    "split-k": (
        (_GPU / "device/impl/device_moe_gemm_blockscale.hpp", r"^\s*bool\s+IsSplitK\b"),
        (_GPU / "grid/gridwise_moe_gemm_blockscale.hpp", r"\bSplitKBatchOffset\(problem\b"),
    ),
    # AITER passes 3 for swiglu; a kernel without that branch would store the gate alone.
    "swiglu": (
        (_GPU / "grid/gridwise_gemm_xdl_cshuffle_common.hpp", r"^\s*swiglu_oai_and_mul\s*=\s*3\b"),
        (_GPU / "grid/gridwise_moe_gemm.hpp", r"\bActivation::swiglu_oai_and_mul\b"),
    ),
}
"""Ability -> headers, and what has to stand in each."""


@dataclass(frozen=True, kw_only=True)
class NamedCk:
    """Headers that the caller named."""

    include: Path
    """The folder above ``ck/``."""
    origin: str
    """Which AITER's they are, or by which variable they were named."""


def named_ck(settings: Settings) -> NamedCk | None:
    """The headers that the settings name instead of the toolchain's, None where they name none.

    Raises :class:`ToolchainError` where an AITER is named that is none, or lacks its submodule, and
    where the folder holds no such headers.
    """
    if settings.aiter is not None:
        found = find_aiter(settings.aiter)
        return _checked(NamedCk(include=require_ck(found), origin=origin(found)))
    if settings.ck_include is not None:
        return _checked(NamedCk(include=settings.ck_include, origin="PREBUILD_CK_INCLUDE"))
    return None


def _checked(named: NamedCk) -> NamedCk:
    if (named.include / CK_HEADER).is_file():
        return named
    raise ToolchainError(
        f"{named.origin} names no composable kernel that can be used (its folder include/ "
        "is expected, of a version with the MX MoE device operations):",
        [f"{named.include / CK_HEADER} does not exist"],
    )


def abilities(include: Path) -> frozenset[str]:
    """What the composable kernel in ``include`` can beyond that of ROCm 7.2, by its headers."""
    return frozenset(
        name
        for name, marks in _ABILITIES.items()
        if all(_has(include / header, pattern) for header, pattern in marks)
    )


def _has(header: Path, pattern: str) -> bool:
    return header.is_file() and bool(re.search(pattern, header.read_text(), re.MULTILINE))


def with_ck(toolchain: Toolchain, named: NamedCk) -> Toolchain:
    """``toolchain`` with the composable kernel that the caller named.

    A checkout lacks the header that CK's own build generates; it comes from AITER where it keeps
    one beside the checkout that it pins, as in AITER's own builds, else from the toolchain's
    composable kernel.  Raises :class:`ToolchainError` where none of them has it.
    """
    include = named.include
    generated = _generated(toolchain, include)
    content = "".join(_hash(folder / "ck") for folder in (include, *generated))
    # -I comes before the -isystem of the toolchain's own headers.
    flags = (
        *(f"-I{folder}" for folder in (include, *generated)),
        f"-ffile-prefix-map={include}=/ck",
    )
    return dataclasses.replace(
        toolchain,
        hip_flags=(*toolchain.hip_flags, *flags),
        host_flags=(*toolchain.host_flags, *flags),
        ck_include=include,
        ck_version=_version(include, content),
        ck_origin=named.origin,
        ck_licence=_licence(include) or toolchain.ck_licence,
        identity=hashlib.sha256(f"{toolchain.identity} ck {content}".encode()).hexdigest(),
    )


def _generated(toolchain: Toolchain, include: Path) -> tuple[Path, ...]:
    """The folder with ``ck/config.h`` where it is neither the checkout's nor the toolchain's."""
    helper = include.parent.parent / "ck_helper"
    if (helper / _CONFIG).is_file():
        return (helper,)
    if any((folder / _CONFIG).is_file() for folder in (include, toolchain.ck_include)):
        return ()
    raise ToolchainError(
        f"{_CONFIG}, which composable kernel's build generates, is nowhere; put it into the "
        "checkout's include folder, or name the composable kernel in an AITER checkout:",
        [f"no {folder / _CONFIG}" for folder in (helper, include, toolchain.ck_include)],
    )


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(part for part in folder.rglob("*") if part.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _version(include: Path, content: str) -> str:
    """The commit where it is a git checkout without changes, else the hash of the headers."""
    commit = described(include.parent)
    clean = commit and not commit.endswith("-dirty")
    return f"commit {commit}" if clean else f"headers sha256 {content[:16]}"


def _licence(include: Path) -> Path | None:
    found = include.parent / "LICENSE"
    return found if found.is_file() else None
