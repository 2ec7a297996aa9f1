"""Versions that are read out of headers."""

from __future__ import annotations

import re
from pathlib import Path

from prebuild.core.errors import ToolchainError

# The device operations that this project instantiates; an older composable kernel lacks them.
CK_HEADER = Path("ck/tensor_operation/gpu/device/impl/device_moe_mx_gemm_bpreshuffle.hpp")


def hip_version(include: Path) -> str:
    """``major.minor.patch`` of ``hip/hip_version.h`` under ``include``."""
    return _version(
        include / "hip" / "hip_version.h", "HIP_VERSION_{}", ("MAJOR", "MINOR", "PATCH")
    )


def ck_version(include: Path) -> str:
    """``major.minor.patch`` of ``ck/version.h`` under ``include``."""
    return _version(include / "ck" / "version.h", "CK_VERSION_{}", ("MAJOR", "MINOR", "PATCH"))


def _version(file: Path, pattern: str, parts: tuple[str, ...]) -> str:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolchainError("a header is missing:", [f"{file}: {error.strerror}"]) from error
    numbers = []
    for part in parts:
        found = re.search(rf"^#define {pattern.format(part)}\s+(\d+)", text, re.MULTILINE)
        if not found:
            name = pattern.format(part)
            raise ToolchainError("a header holds no version:", [f"{file} does not define {name}"])
        numbers.append(found[1])
    return ".".join(numbers)
