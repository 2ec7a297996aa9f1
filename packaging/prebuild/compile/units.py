"""Translation units and their keys: same key, same object, wherever and whenever it is made.

A key is a hash over the kind, the flags, the toolchain's identity and the text of the source with
all of our own headers that it includes (the compiler's, CK's and HIP's are in the identity).  It
holds no path and no time, so that a second checkout or a second machine finds the object.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aiter_prebuilt import target
from prebuild.compile.commands import kernel_identity
from prebuild.compile.flags import Flags
from prebuild.core import identity
from prebuild.core.model import Plan, PlannedInstance, PlannedModule
from prebuild.toolchain import Toolchain

Kind = Literal["kernel", "launcher", "host"]
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One compile: a source, how it is compiled, and the object's place in the cache."""

    id: str
    """What a person calls it: the stem of the source, with the module's key where all share it."""
    kind: Kind
    source: Path
    include: tuple[Path, ...]
    flags: tuple[str, ...]
    sources: Mapping[str, str]
    """:func:`closure` of the source, which the key stands for."""
    key: str
    object: Path
    accumulators: int = 0
    """Values that a thread of the kernel accumulates: its unrolled code grows with them."""


@dataclass(frozen=True, kw_only=True)
class ModuleUnits:
    """The units that one module is linked from."""

    module: PlannedModule
    kernels: Mapping[str, Unit]
    """Kernel id -> unit; an instance that several modules share has one unit."""
    hosts: tuple[Unit, ...]


@dataclass(frozen=True, kw_only=True)
class _Maker:
    csrc: Path
    generated: Path
    objects: Path
    toolchain: Toolchain
    flags: Flags

    def make(
        self,
        kind: Kind,
        source: Path,
        include: Sequence[Path],
        *,
        module: str = "",
        accumulators: int = 0,
    ) -> Unit:
        flags = self._flags(kind, source)
        include = (*include, self.csrc)
        sources = closure(source, include)
        content = {
            "kind": kind,
            "flags": flags,
            "toolchain": self.toolchain.identity,
            "sources": sources,
        }
        codegen = kernel_identity(self.toolchain) if kind == "kernel" else None
        if codegen is not None:
            content["codegen"] = codegen
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        suffix = "co" if kind == "kernel" else "o"
        return Unit(
            id=f"{source.stem}.{module[:8]}" if module else source.stem,
            kind=kind,
            source=source,
            include=include,
            flags=flags,
            sources=sources,
            key=key,
            object=self.objects / key[:2] / f"{key}.{suffix}",
            accumulators=accumulators,
        )

    def _flags(self, kind: Kind, source: Path) -> tuple[str, ...]:
        if kind == "kernel":
            device_only = ("-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output")
            return (*device_only, *self.flags.device)
        if kind == "launcher":
            # The unit's id goes into a global symbol: fixed, but one's own.
            host_only = ("-x", "hip", "--cuda-host-only", target.load().offload_arch)
            symbol = f"-cuid={identity.short_hash(_code(source.read_text(encoding='utf-8')))}"
            return (*host_only, symbol, *self.flags.host, *self.flags.launcher)
        return self.flags.host


def plan_units(
    plan: Plan, *, csrc: Path, generated: Path, objects: Path, toolchain: Toolchain, flags: Flags
) -> tuple[ModuleUnits, ...]:
    """Return the units of each module; ``generated`` is where its sources were written."""
    maker = _Maker(
        csrc=csrc, generated=generated, objects=objects, toolchain=toolchain, flags=flags
    )
    binding = tuple(maker.make("host", source, ()) for source in sorted(csrc.glob("*.cpp")))
    return tuple(_module_units(maker, module, binding) for module in plan.modules)


def _module_units(maker: _Maker, module: PlannedModule, binding: Sequence[Unit]) -> ModuleUnits:
    root = maker.generated / module.name
    instances = root / "instances"
    kernels = {
        kernel.id: maker.make(
            "kernel",
            root / "kernels" / f"{kernel.id}.cu",
            (instances,),
            accumulators=_accumulators(instance),
        )
        for instance in module.built
        for kernel in instance.kernels
    }
    launchers = maker.make("launcher", root / "launchers.cu", (instances,), module=module.key)
    table = maker.make("host", root / "module.cpp", (), module=module.key)
    return ModuleUnits(module=module, kernels=kernels, hosts=(launchers, table, *binding))


def _accumulators(instance: PlannedInstance) -> int:
    """Of one thread; stage 1 accumulates gate and up side by side."""
    tile, gemms = instance.tile, 2 if instance.stage == 1 else 1
    return gemms * tile.m * tile.n // tile.block_size


def closure(source: Path, include: Sequence[Path]) -> dict[str, str]:
    """Return name -> sha256 of ``source`` and all headers of ours that it includes."""
    seen: dict[str, str] = {}
    pending = [(source.name, source)]
    while pending:
        name, path = pending.pop()
        if name in seen:
            continue
        text = path.read_text(encoding="utf-8")
        seen[name] = hashlib.sha256(_code(text).encode()).hexdigest()
        for header in _INCLUDE.findall(text):
            found = _find(header, path.parent, include)
            if found is not None:
                pending.append((header, found))
    return seen


def _code(text: str) -> str:
    """The lines that reach the compiler: a changed comment line is not a changed object."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _find(header: str, beside: Path, include: Sequence[Path]) -> Path | None:
    return next((d / header for d in (beside, *include) if (d / header).is_file()), None)
