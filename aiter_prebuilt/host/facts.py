"""All facts of this host that decide whether a module can be served; gathered, not judged."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import gpu, hip, torch_build
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import sources_digest

DEFAULT_RUNTIME = "libamdhip64.so.7"


@value_class(frozen=True, kw_only=True)
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
    torch: str | None = None
    """Version of the installed torch; looked at for harvested modules only, as is the next."""
    aiter_sources: str | None = None
    """Digest of all of AITER's sources (50 ms)."""


@value_class(frozen=True, kw_only=True)
class View:
    """What counts instead of this host's own where another one is judged, an image for one."""

    gpu: gpu.GpuFacts | None = None
    """None: as the host has them."""
    own_aiter: bool = True
    """Whether the installed AITER counts, else ``aiter``."""
    aiter: contract.AiterFacts | None = None
    assumed: frozenset[str] = frozenset()
    """Codes of reasons that do not count: what is missing here and will be there."""

    def of(self, facts: HostFacts) -> HostFacts:
        """Return this host's facts as they look from here."""
        return replace(
            facts,
            gpu=facts.gpu if self.gpu is None else self.gpu,
            aiter=facts.aiter if self.own_aiter else self.aiter,
        )


THIS_HOST = View()


def gather(
    settings: Settings, runtime: str = DEFAULT_RUNTIME, *, harvest: bool = False
) -> HostFacts:
    """Look at the host; ``runtime`` is the SONAME that the module needs of HIP."""
    root = contract.locate()
    installed = contract.gather(root, settings.meta_dir) if root is not None else None
    deep = harvest and installed is not None
    return HostFacts(
        implementation=sys.implementation.name,
        python=sys.version_info[:2],
        free_threaded="t" in getattr(sys, "abiflags", ""),
        glibc=glibc_version(),
        gpu=gpu.gather(settings.sysfs_root),
        hip=hip.gather(runtime, settings.library_path),
        aiter=installed,
        torch=torch_build.version() if harvest else None,
        aiter_sources=sources_digest(Path(installed.csrc)) if deep and installed else None,
    )


def glibc_version() -> tuple[int, int] | None:
    """Return the C library's version where it is glibc."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        major, minor = version.split(".")[:2]
        return (int(major), int(minor)) if name == "glibc" else None
    except (ValueError, OSError, AttributeError):
        return None
