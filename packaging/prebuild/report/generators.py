"""What two code generators made of the same kernels: resources, size, build time, kernel by kernel.

Each side is a build folder (the one that ``make wheel`` leaves) or a wheel.  A wheel tells no build
times.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, Kernel, Manifest
from prebuild.core import identity
from prebuild.core.errors import PrebuildError
from prebuild.core.wheelfile import read_manifest
from prebuild.families import find_family
from prebuild.inspect.codeobject import KernelFacts, kernel_facts
from prebuild.inspect.known import known_facts
from prebuild.report import record
from prebuild.toolchain import Toolchain
from prebuild.verify.source import opened
from prebuild.verify.subject import subjects_in

SCHEMA = 1
_MFMA = ("v_mfma", "v_smfmac")
_REGISTERS, _GRANULE, _WAVES = 512, 8, 8
"""VGPRs and AGPRs of a lane of a SIMD, how many are given at a time, the most waves: gfx90a and
later (LLVM's AMDGPUUsage)."""
_LDS, _LDS_GRANULE, _CU = 160 << 10, 1280, 256
"""Bytes of LDS of a CU of gfx950 and how many are given at a time (320 dwords: LLVM's
AMDGPUUsage), and lanes of its four SIMDs (AMD's CDNA4 ISA document)."""
_BLOCK = re.compile(r"gemm[12]_(\d+)x")
_SECONDS = 5.0
"""A compile's cost is noted when its object is written; one that was noted at another time is that
of another object."""


class GeneratorsError(PrebuildError):
    """A side holds no kernels, or both have none in common."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One kernel of one side; registers of a lane or wave, memory in bytes."""

    vgprs: int
    sgprs: int
    spilled: int
    """Registers, vector and scalar."""
    scratch_bytes: int
    lds_bytes: int
    workgroup: int
    """Work items of a workgroup: those of a launch, which is CK's block size.  What the code object
    says is CK's launch bound, 256 whatever the block."""
    instructions: int
    """Of the whole code object."""
    mfma: int
    code_bytes: int
    error: float | None
    """Largest error over its bound; None where no good verdict is known."""
    cpu_seconds: float | None
    """Of its compile, where this build made it."""

    @property
    def waves(self) -> float:
        """How many waves a SIMD holds, a CU's four on average: by registers and LDS."""
        given = _rounded(max(self.vgprs, 1), _GRANULE)
        workgroups = _LDS // _rounded(max(self.lds_bytes, 1), _LDS_GRANULE)
        return min(_REGISTERS // given, _WAVES, workgroups * self.workgroup / _CU)


@dataclass(frozen=True, kw_only=True)
class Side:
    """All kernels of a build."""

    generator: str
    """What made machine code of the front end's IR."""
    kernels: Mapping[str, Figures]
    """Kernel id -> figures."""
    families: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A kernel that both sides have."""

    kernel: str
    family: str
    one: Figures
    other: Figures

    @property
    def timed(self) -> bool:
        """Whether both sides know what the compile took."""
        return None not in (self.one.cpu_seconds, self.other.cpu_seconds)

    @property
    def better(self) -> int:
        """-1: the first side's is better, 1: the other's, 0: neither.

        Fewer spilled registers count first, then less scratch, then fewer VGPRs (all of them
        cost no memory traffic, or let more waves run), then fewer instructions.
        """
        mine, theirs = (
            (side.spilled, side.scratch_bytes, side.vgprs, side.instructions)
            for side in (self.one, self.other)
        )
        return (mine > theirs) - (mine < theirs)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Two builds kernel by kernel, by family and name."""

    one: str
    other: str
    pairs: tuple[Pair, ...]
    only_one: tuple[str, ...]
    only_other: tuple[str, ...]


def read_side(path: Path, toolchain: Toolchain, scratch: Path) -> Side:
    """Read a build folder or a wheel; ``scratch`` is a folder for code objects of a wheel.

    Raises :class:`GeneratorsError` where it has no manifest or lacks a kernel of it.
    """
    if path.suffix == ".whl":
        with opened(path) as place:
            manifest = _manifest(place, path)
            facts = dict(_of_wheel(place, toolchain, scratch))
            return _side(manifest, lambda _name, kernel: facts.get(kernel.symbol), {})
    manifest = _manifest(path / "stage", path)
    units = {unit.id: Path(unit.object) for unit in record.read(path).units}

    def known(name: str, _kernel: Kernel) -> KernelFacts | None:
        there = name in units and units[name].is_file()
        return known_facts(units[name], toolchain) if there else None

    return _side(manifest, known, _costs(path, units))


def _side(
    manifest: Manifest,
    facts_of: Callable[[str, Kernel], KernelFacts | None],
    costs: Mapping[str, float],
) -> Side:
    kernels: dict[str, Figures] = {}
    families: dict[str, str] = {}
    absent = []
    for module in manifest.modules:
        family = find_family(module.features) if module.features else None
        for instance in module.instances:
            for kernel in instance.kernels:
                name = identity.kernel_id(
                    instance.name, main_loop=kernel.main_loop, tail=kernel.tail
                )
                facts = facts_of(name, kernel)
                if facts is None:
                    absent.append(name)
                    continue
                block = _block_size(instance.name)
                kernels[name] = _figures(facts, kernel, block, costs.get(name))
                families[name] = family.name if family else "none"
    if absent or not kernels:
        msg = f"{len(absent)} kernels of the manifest have no code object: {absent[:3]}"
        raise GeneratorsError(msg)
    build = manifest.build
    return Side(
        generator=build.code_generator or build.compiler, kernels=kernels, families=families
    )


def _block_size(instance: str) -> int:
    found = _BLOCK.search(instance)
    if found is None:
        raise GeneratorsError(f"{instance}: there is no block tile in its name, as gemm1_256x...")
    return int(found[1])


def _rounded(count: int, granule: int) -> int:
    return -(-count // granule) * granule


def _figures(
    facts: KernelFacts, kernel: Kernel, block_size: int, cpu_seconds: float | None
) -> Figures:
    error = kernel.verified["max_error_over_bound"] if kernel.verified else None
    return Figures(
        vgprs=facts.vgprs,
        sgprs=facts.sgprs,
        spilled=facts.vgpr_spills + facts.sgpr_spills,
        scratch_bytes=facts.scratch_bytes,
        lds_bytes=facts.lds_bytes,
        workgroup=block_size,
        instructions=sum(facts.opcodes.values()),
        mfma=sum(count for name, count in facts.opcodes.items() if name.startswith(_MFMA)),
        code_bytes=facts.code_bytes,
        error=error,
        cpu_seconds=cpu_seconds,
    )


def _manifest(folder: Path, path: Path) -> Manifest:
    found = sorted(folder.rglob(MANIFEST_NAME)) if folder.is_dir() else []
    if not found:
        msg = (
            f"{path} has no {MANIFEST_NAME}; expected is a wheel, or the folder that `make wheel` "
        )
        raise GeneratorsError(msg + "builds in")
    return read_manifest(found[0])


def _of_wheel(place: Path, tools: Toolchain, scratch: Path) -> Iterator[tuple[str, KernelFacts]]:
    seen: set[str] = set()
    for module in sorted(place.rglob("*.so")):
        for subject in subjects_in(module).subjects:
            if subject.symbol not in seen:
                seen.add(subject.symbol)
                file = scratch / f"{subject.sha256}.co"
                file.write_bytes(subject.data)
                yield subject.symbol, kernel_facts(file, tools)


def _costs(path: Path, units: Mapping[str, Path]) -> dict[str, float]:
    """CPU seconds of the compiles that made the objects which are there now."""
    found = {}
    for name, made in units.items():
        note = path / "costs" / f"{name}.json"
        if note.is_file() and made.is_file():
            apart = note.stat().st_mtime - made.stat().st_mtime
            if abs(apart) < _SECONDS:
                found[name] = float(json.loads(note.read_text())["cpu_seconds"])
    return found


def beside(one: Side, other: Side) -> Beside:
    """Join two sides by kernel; raises :class:`GeneratorsError` where they have none in common."""
    both = sorted(one.kernels.keys() & other.kernels.keys())
    if not both:
        raise GeneratorsError("the two builds have no kernel in common")
    pairs = [
        Pair(
            kernel=name,
            family=one.families[name],
            one=one.kernels[name],
            other=other.kernels[name],
        )
        for name in both
    ]
    return Beside(
        one=one.generator,
        other=other.generator,
        pairs=tuple(sorted(pairs, key=lambda pair: (pair.family, pair.kernel))),
        only_one=tuple(sorted(one.kernels.keys() - other.kernels.keys())),
        only_other=tuple(sorted(other.kernels.keys() - one.kernels.keys())),
    )


@dataclass(frozen=True, kw_only=True)
class Total:
    """One side of several pairs."""

    spilling: int
    """Kernels that spill."""
    spilled: int
    more_waves: int
    """Kernels of which a SIMD holds more waves than of the other side's."""
    vgprs: int
    instructions: int
    code_bytes: int
    right: int
    """Kernels with a good verdict."""
    cpu_seconds: float
    """Of the kernels whose compiles both sides know."""


def totals(pairs: Sequence[Pair]) -> tuple[Total, Total]:
    """Add up both sides."""
    one, other = [pair.one for pair in pairs], [pair.other for pair in pairs]
    known = [pair.timed for pair in pairs]
    return _total(one, other, known), _total(other, one, known)


def _total(side: Sequence[Figures], against: Sequence[Figures], known: Sequence[bool]) -> Total:
    both = zip(side, against, strict=True)
    return Total(
        spilling=sum(each.spilled > 0 for each in side),
        spilled=sum(each.spilled for each in side),
        more_waves=sum(mine.waves > theirs.waves for mine, theirs in both),
        vgprs=sum(each.vgprs for each in side),
        instructions=sum(each.instructions for each in side),
        code_bytes=sum(each.code_bytes for each in side),
        right=sum(each.error is not None for each in side),
        cpu_seconds=sum(each.cpu_seconds or 0.0 for each in itertools.compress(side, known)),
    )


def timed(pairs: Sequence[Pair]) -> int:
    """Of how many kernels both sides know what the compile took."""
    return sum(pair.timed for pair in pairs)


def by_family(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    """Return the pairs of each family."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.family, []).append(pair)
    return found


def verdicts(pairs: Sequence[Pair]) -> Counter[int]:
    """Return how often the first side is better (-1), the other (1), or neither (0)."""
    return Counter(pair.better for pair in pairs)


def as_json(found: Beside) -> dict[str, Any]:
    """Return JSON values; ``schema`` rises when a reader would have to change."""
    return {
        "schema": SCHEMA,
        "generators": [found.one, found.other],
        "kernels": [
            {
                "kernel": pair.kernel,
                "family": pair.family,
                "figures": [asdict(pair.one), asdict(pair.other)],
                "better": pair.better,
            }
            for pair in found.pairs
        ],
        "only": [list(found.only_one), list(found.only_other)],
    }
