"""Composable kernel's headers from a checkout that the caller names, instead of the toolchain's.

AITER pins a newer composable kernel than a ROCm release ships.  The sources adapt to what the
headers can do; the manifest says which they were.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

from prebuild.core import proc
from prebuild.core.errors import CommandError, ToolchainError
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


def abilities(include: Path) -> frozenset[str]:
    """What the composable kernel in ``include`` can beyond that of ROCm 7.2, by its headers."""
    return frozenset(
        name
        for name, marks in _ABILITIES.items()
        if all(_has(include / header, pattern) for header, pattern in marks)
    )


def _has(header: Path, pattern: str) -> bool:
    return header.is_file() and bool(re.search(pattern, header.read_text(), re.MULTILINE))


def with_ck(toolchain: Toolchain, include: Path) -> Toolchain:
    """``toolchain`` with the composable kernel in ``include`` (the folder above ``ck/``).

    A checkout lacks the header that CK's own build generates; it comes from the toolchain's, or
    where that has no composable kernel from AITER, which keeps one beside the checkout that it
    pins.  Raises :class:`ToolchainError` where it holds no such headers.
    """
    if not (include / CK_HEADER).is_file():
        raise ToolchainError(
            "PREBUILD_CK_INCLUDE names no composable kernel that can be used (its folder include/ "
            "is expected, of a version with the MX MoE device operations):",
            [f"{include / CK_HEADER} does not exist"],
        )
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
        ck_named=True,
        ck_licence=_licence(include) or toolchain.ck_licence,
        identity=hashlib.sha256(f"{toolchain.identity} ck {content}".encode()).hexdigest(),
    )


def _generated(toolchain: Toolchain, include: Path) -> tuple[Path, ...]:
    """The folder with ``ck/config.h`` where neither the toolchain nor the checkout has it."""
    if any((folder / _CONFIG).is_file() for folder in (include, toolchain.ck_include)):
        return ()
    helper = include.parent.parent / "ck_helper"
    if (helper / _CONFIG).is_file():
        return (helper,)
    raise ToolchainError(
        f"{_CONFIG}, which composable kernel's build generates, is nowhere; put it into the "
        "checkout's include folder, or name the composable kernel in an AITER checkout:",
        [f"no {folder / _CONFIG}" for folder in (include, toolchain.ck_include, helper)],
    )


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(part for part in folder.rglob("*") if part.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _version(include: Path, content: str) -> str:
    """The commit where it is a git checkout without changes, else the hash of the headers."""
    try:
        command: list[str | Path] = [
            "git",
            "-C",
            include,
            "describe",
            "--always",
            "--abbrev=40",
            "--dirty",
        ]
        described = proc.run([*command, "--exclude=*"]).decode().strip()
    except CommandError:
        described = ""
    return f"commit {described}" if described else f"headers sha256 {content[:16]}"


def _licence(include: Path) -> Path | None:
    found = include.parent / "LICENSE"
    return found if found.is_file() else None
