"""The gfx target of this distribution: one data file, which the build side reads, too.

Sources: LLVM's AMDGPUUsage (triple, ELF machine and flags), the CDNA4 ISA document (wave size, LDS
of a work group, registers of a lane, matrix instructions), AMD's partition guide (compute units).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from aiter_prebuilt.values import value_class

_FILE = Path(__file__).parent / "data" / "gfx950.json"


@value_class(frozen=True, kw_only=True)
class Target:
    """What code for this GPU has to know about it."""

    gfx: str
    """Name of the gfx target, as compilers and KFD give it."""
    products: tuple[str, ...]
    triple: str
    elf_machine: int
    elf_mach: int
    """EF_AMDGPU_MACH, the low byte of ``e_flags``."""
    wave_size: int
    """Lanes."""
    lds_bytes: int
    """Of one work group, at most."""
    vgprs: int
    """Of one lane, at most; architectural and accumulation registers together."""
    compute_units: Mapping[str, int]
    """Partition mode -> compute units that a process sees; AITER's ``cu_num``."""
    fp8: str
    """torch's name of the 8-bit float that the matrix instructions read."""
    matrix_instructions: Mapping[str, tuple[str, ...]]
    """Activation dtype -> instructions of which each of its kernels holds at least one."""

    @property
    def distribution(self) -> str:
        """The name of the wheel's distribution."""
        return f"aiter-prebuilt-{self.gfx}"

    @property
    def isa(self) -> str:
        """The target id of a code object."""
        return f"{self.triple}--{self.gfx}"

    @property
    def offload_arch(self) -> str:
        """The compiler's option for it."""
        return f"--offload-arch={self.gfx}"

    @property
    def cu_count(self) -> int:
        """Compute units of the whole GPU."""
        return max(self.compute_units.values())


@functools.cache
def load() -> Target:
    """Read the data file."""
    raw = json.loads(_FILE.read_text(encoding="utf-8"))
    return Target(
        gfx=raw["gfx"],
        products=tuple(raw["products"]),
        triple=raw["triple"],
        elf_machine=raw["elf_machine"],
        elf_mach=raw["elf_mach"],
        wave_size=raw["wave_size"],
        lds_bytes=raw["lds_bytes"],
        vgprs=raw["vgprs"],
        compute_units=raw["compute_units"],
        fp8=raw["fp8"],
        matrix_instructions={
            dtype: tuple(names) for dtype, names in raw["matrix_instructions"].items()
        },
    )
