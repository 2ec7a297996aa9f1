"""AITER's own translation units: what its generator writes, compiled as this project's kernels are.

The generator of the AITER at hand runs in a scratch folder and says what AITER would compile for a
module; nothing of it is kept but the code objects.  How AITER calls it, and where it looks for
headers: ``aiter/ops/moe_op.py`` and ``aiter/jit/core.py`` of ROCm/aiter (v0.1.13 to e4048607).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiter_prebuilt import target
from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.kinds import QUANTISATIONS
from prebuild.bench.fourinone import TorchHeaders
from prebuild.compile.commands import kernel_identity
from prebuild.compile.flags import Flags
from prebuild.compile.units import Unit, closure
from prebuild.core import proc
from prebuild.toolchain import Toolchain
from prebuild.toolchain.aiter_sources import AiterSources

_CODEGEN = Path("csrc/ck_gemm_moe_2stages_codegen")
_DEFINES = (
    *("-DENABLE_CK=1", "-D__HIP_PLATFORM_HCC__=1", "-DLEGACY_HIPBLAS_DIRECT", "-DUSE_PROF_API=1"),
    *("-D__Float4_e2m1fn_x2", "-DTORCH_Float4_e2m1fn_x2", "-w"),
)
"""AITER's, as far as they reach a device compile of these units."""
_PRELOAD = re.compile(r"(?<=--amdgpu-kernarg-preload-count=)\d+")
# The generator asks AITER for the GPU, AITER asks torch and ROCm: here it is answered.
_DRIVER = """\
import runpy, sys, types
gpu, script, *arguments = sys.argv[1:]
chip = types.ModuleType("chip_info")
chip.get_gfx = lambda: gpu
sys.modules["chip_info"] = chip
sys.argv = [script, *arguments]
sys.path.insert(0, script.rpartition("/")[0])
runpy.run_path(script, run_name="__main__")
"""
# A distribution's composable kernel comes without CK-Tile, of which AITER's headers name these
# types alone, for conversions from torch's; no kernel of CK2stages has any of them.
_TILE = Path("ck_tile/core.hpp")
_TILE_TYPES = """\
#pragma once
#include <cstdint>
namespace ck_tile {
using fp32_t = float;
using fp16_t = _Float16;
using bf16_t = std::uint16_t;
using index_t = std::int32_t;
using int8_t = std::int8_t;
}
"""


@dataclass(frozen=True, kw_only=True)
class AiterBuild:
    """How the units of an AITER are compiled."""

    sources: AiterSources
    toolchain: Toolchain
    flags: tuple[str, ...]
    torch: TorchHeaders
    objects: Path

    def units(self, features: ModuleKey, scratch: Path) -> Mapping[str, Unit]:
        """Return instance name -> its unit, of the module with ``features``.

        Their sources are written below ``scratch``.  Raises ``CommandError`` where AITER's
        generator does not take these features.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        # Another AITER may have been asked here for an instance that this one does not have.
        shutil.rmtree(scratch / "instances", ignore_errors=True)
        proc.run(self._generate(features, scratch))
        written = sorted((scratch / "instances").glob("*.cu"))
        include = self._include(scratch)
        return {source.stem: self._unit(source, include) for source in written}

    def _generate(self, features: ModuleKey, scratch: Path) -> list[str | Path]:
        script = self.sources.root / _CODEGEN / "gen_instances.py"
        known = ["-a", features.a_dtype, "-b", features.b_dtype, "-c", features.c_dtype]
        known += ["-q", QUANTISATIONS[features.quant].module, "-act", features.activation]
        known += ["-m", str(features.routed_weight_stage)]
        known += ["--preshuffle"] if features.preshuffle and features.b_dtype == "fp4x2" else []
        known += ["--issplitk"] if features.splitk else []
        driver = [sys.executable, "-B", "-c", _DRIVER, target.load().gfx]
        return [*driver, script, *known, "-w", scratch]

    def _unit(self, source: Path, include: tuple[Path, ...]) -> Unit:
        system = [part for path in self.torch.include for part in ("-isystem", str(path))]
        flags = (
            *("-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output"),
            *self.flags,
            *_DEFINES,
        )
        sources = closure(source, include)
        content = {
            "kind": "aiter",
            "flags": flags,
            "toolchain": self.toolchain.identity,
            "codegen": kernel_identity(self.toolchain),
            "sources": sources,
        }
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return Unit(
            id=f"{source.stem}.aiter",
            kind="kernel",
            source=source,
            include=include,
            flags=(*flags, *system),
            sources=sources,
            key=key,
            object=self.objects / key[:2] / f"{key}.co",
        )

    def _include(self, scratch: Path) -> tuple[Path, ...]:
        root, composable = self.sources.root, self.toolchain.ck_include
        own = (root / _CODEGEN, root / "csrc" / "include", root / "csrc" / "include" / "torch")
        library = composable.parent / "library" / "include"
        found = tuple(folder for folder in (*own, library) if folder.is_dir())
        if (composable / _TILE).is_file():
            return found
        standin = scratch / "tile"
        (standin / _TILE).parent.mkdir(parents=True, exist_ok=True)
        (standin / _TILE).write_text(_TILE_TYPES, encoding="utf-8")
        return (*found, standin)


def aiters_flags(flags: Flags, preload: int | None) -> tuple[str, ...]:
    """Return the device flags with AITER's own number of preloaded kernel arguments in them."""
    if preload is None:
        return flags.device
    return tuple(_PRELOAD.sub(str(preload), flag) for flag in flags.device)
