"""All facts of this host that decide whether a module can be served; gathered, not judged."""

from __future__ import annotations

import dataclasses
import os
import sys

from aiter_prebuilt import contract, gpu, hip
from aiter_prebuilt.settings import Settings

DEFAULT_RUNTIME = "libamdhip64.so.7"


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostFacts:
    """This host and this process."""

    implementation: str
    """``sys.implementation.name``."""
    python: tuple[int, int]
    free_threaded: bool
    """A build without the GIL has no limited API (before PEP 803's abi3t)."""
    glibc: tuple[int, int] | None
    """None: not a glibc host."""
    gpu: gpu.GpuFacts
    hip: hip.HipFacts
    aiter: contract.AiterFacts | None
    """None: no aiter package is installed."""


def gather(settings: Settings, runtime: str = DEFAULT_RUNTIME) -> HostFacts:
    """Look at the host; ``runtime`` is the SONAME that the module needs of HIP."""
    root = contract.locate()
    return HostFacts(
        implementation=sys.implementation.name,
        python=sys.version_info[:2],
        free_threaded="t" in getattr(sys, "abiflags", ""),
        glibc=glibc_version(),
        gpu=gpu.gather(settings.sysfs_root),
        hip=hip.gather(runtime, settings.library_path),
        aiter=contract.gather(root, settings.meta_dir) if root is not None else None,
    )


def glibc_version() -> tuple[int, int] | None:
    """Return the C library's version where it is glibc."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        major, minor = version.split(".")[:2]
        return (int(major), int(minor)) if name == "glibc" else None
    except (ValueError, OSError, AttributeError):
        return None
