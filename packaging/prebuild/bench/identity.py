"""Whether this project's kernels are those that an AITER would build: machine code, one by one.

Both sides are compiled by one toolchain: AITER's generated sources, an instance with its kernels in
one unit, and this project's, a kernel a unit.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prebuild.aiter.tree import read
from prebuild.bench.aiter_units import AiterBuild, aiters_flags
from prebuild.bench.fourinone import TorchHeaders
from prebuild.bench.machinecode import differences, kernels
from prebuild.compile.build import CompileError, compile_units
from prebuild.compile.units import Unit
from prebuild.core.model import OnDone, PlannedInstance
from prebuild.gfx950.codeobject import CodeObject, Descriptor, parse
from prebuild.inspect.codeobject import disassemble
from prebuild.pipeline.build import Prepared
from prebuild.toolchain import Toolchain
from prebuild.toolchain.aiter_sources import find_aiter, origin

SCHEMA = 1
Likeness = Literal["bytes", "code", "other", "absent"]
"""The same bytes; the same instructions, of which addresses relative to the program counter differ;
other code; no code of AITER's to compare with."""
_ABSENT: Likeness = "absent"
SAME: tuple[Likeness, ...] = ("bytes", "code")
# Of a descriptor, what depends on where the kernel lies in its object.
_PLACE = {"entry", "size"}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One kernel of ours beside AITER's."""

    kernel: str
    sha256: str
    """Of our code object."""
    likeness: Likeness
    detail: str = ""
    """What differs first, or why there is nothing to compare with."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All kernels of a plan beside an AITER's."""

    aiter: str
    compiler: str
    code_generator: str | None
    ck_version: str
    ck_origin: str | None
    flags: tuple[str, ...]
    """AITER's side's, where they differ from ours."""
    kernels: tuple[Compared, ...]

    @property
    def same(self) -> bool:
        """Whether every kernel is AITER's."""
        return all(one.likeness in SAME for one in self.kernels)

    def count(self, likeness: Likeness) -> int:
        """How many kernels are so."""
        return sum(one.likeness == likeness for one in self.kernels)


def compare(
    prepared: Prepared, *, path: Path, torch: TorchHeaders, objects: Path, on_done: OnDone
) -> Comparison:
    """Compile both sides of ``prepared``'s plan and compare each kernel of ours with AITER's.

    ``path`` is the AITER, ``objects`` the object cache, in which AITER's objects are kept as well,
    so that an interrupted run goes on.  Raises ``ToolchainError`` or ``AiterError`` where there is
    no AITER, ``CompileError`` where a kernel of ours does not compile.
    """
    sources, tools = find_aiter(path), prepared.toolchain
    flags = aiters_flags(prepared.flags, read(sources.package).kernarg_preload)
    build = AiterBuild(sources=sources, toolchain=tools, flags=flags, torch=torch, objects=objects)
    theirs: dict[str, Unit] = {}
    for module in prepared.plan.modules:
        scratch = prepared.work / "aiter" / module.key[:16]
        theirs |= build.units(module.features, scratch)
    ours = {name: unit for module in prepared.modules for name, unit in module.kernels.items()}
    instances = {one.name: one for module in prepared.plan.modules for one in module.built}
    wanted = [theirs[name] for name in instances if name in theirs]
    said = _compile([*ours.values()], wanted, prepared, on_done)
    return Comparison(
        aiter=origin(sources),
        compiler=tools.compiler_version,
        code_generator=tools.codegen.version if tools.codegen else None,
        ck_version=tools.ck_version,
        ck_origin=tools.ck_origin,
        flags=tuple(flag for flag in flags if flag not in prepared.flags.device),
        kernels=tuple(
            one
            for name, instance in sorted(instances.items())
            for one in _instance(instance, ours, theirs.get(name), tools, said)
        ),
    )


def _compile(
    ours: Sequence[Unit], theirs: Sequence[Unit], prepared: Prepared, on_done: OnDone
) -> tuple[str, ...]:
    """Compile all; return what the compiler said of units of AITER's that have no object now.

    A composable kernel need not take every unit; ours have to compile.
    """
    try:
        compile_units(
            [*ours, *theirs],
            toolchain=prepared.toolchain,
            work=prepared.work,
            book=prepared.book,
            on_done=on_done,
        )
    except CompileError as error:
        if not all(unit.object.is_file() for unit in ours):
            raise
        return error.problems
    return ()


def why_not(unit: Unit | None, said: Sequence[str]) -> str:
    """Say why there is no code of AITER's for an instance; ``said`` is the compiler's output."""
    if unit is None:
        return "AITER does not generate it"
    failed = [at for at, line in enumerate(said) if unit.object.name in line]
    errors = [line for line in said[failed[0] :] if " error: " in line] if failed else []
    word = f": {errors[0].partition(' error: ')[2]}" if errors else ""
    return f"AITER's unit does not compile here{word}"


def _instance(
    instance: PlannedInstance,
    ours: Mapping[str, Unit],
    theirs: Unit | None,
    tools: Toolchain,
    said: Sequence[str],
) -> Iterator[Compared]:
    whole: CodeObject | None = None
    code: Mapping[str, tuple[str, ...]] = {}
    if theirs is not None and theirs.object.is_file():
        whole = parse(theirs.object.read_bytes())
        code = kernels(disassemble(theirs.object, tools))
    for kernel in instance.kernels:
        unit = ours[kernel.id]
        data = unit.object.read_bytes()
        likeness, detail = (
            likeness_of(parse(data), kernels(disassemble(unit.object, tools)), whole, code)
            if whole is not None
            else (_ABSENT, why_not(theirs, said))
        )
        yield Compared(
            kernel=kernel.id,
            sha256=hashlib.sha256(data).hexdigest(),
            likeness=likeness,
            detail=detail,
        )


def likeness_of(
    ours: CodeObject,
    code: Mapping[str, tuple[str, ...]],
    theirs: CodeObject,
    their_code: Mapping[str, tuple[str, ...]],
) -> tuple[Likeness, str]:
    """Compare the one kernel of ``ours`` with that of its name in ``theirs``.

    ``code`` and ``their_code`` are normalised instructions of both
    (:func:`prebuild.bench.machinecode.kernels`).
    """
    (symbol,) = [name for name in ours.kernels if "flush_icache" not in name]
    if symbol not in theirs.kernels:
        return _ABSENT, "AITER's object has no kernel with these template arguments"
    mine, other = ours.kernels[symbol], theirs.kernels[symbol]
    if changed := _fields(mine, other):
        return "other", f"descriptor: {changed}"
    if _bytes(ours, mine) == _bytes(theirs, other):
        return "bytes", ""
    found = differences({symbol: code[symbol]}, their_code)
    return ("other", found[0].partition("...: ")[2]) if found else ("code", "")


def _fields(mine: Descriptor, other: Descriptor) -> str:
    """What the descriptors say of a wave's initial state and resources, where they differ."""
    one, two = dataclasses.asdict(mine), dataclasses.asdict(other)
    names = [name for name in one if name not in _PLACE and one[name] != two[name]]
    return ", ".join(f"{name} {one[name]}, AITER's {two[name]}" for name in names)


def _bytes(code_object: CodeObject, kernel: Descriptor) -> bytes:
    for segment in code_object.segments:
        offset = kernel.entry - segment.address
        if 0 <= offset < len(segment.data):
            return segment.data[offset : offset + kernel.size]
    return b""


def as_json(found: Comparison) -> dict[str, Any]:
    """Return JSON values; ``schema`` rises when a reader would have to change."""
    return {"schema": SCHEMA, "same": found.same, **dataclasses.asdict(found)}


def as_text(found: Comparison) -> list[str]:
    """Return what a person reads: both sides, every kernel that is not the same, the count."""
    ck = f"{found.ck_version} ({found.ck_origin})" if found.ck_origin else found.ck_version
    generator = f", then {found.code_generator}" if found.code_generator else ""
    lines = [f"{found.aiter}, both sides by {found.compiler}{generator}, composable kernel {ck}"]
    lines += [f"AITER's side with {' '.join(found.flags)}"] if found.flags else []
    for one in found.kernels:
        if one.likeness not in SAME:
            lines.append(f"  {one.kernel}: {one.likeness}: {one.detail}")
    same = found.count("bytes") + found.count("code")
    lines.append(
        f"{same} of {len(found.kernels)} kernels are AITER's: {found.count('bytes')} byte for byte,"
        f" {found.count('code')} but for addresses; {found.count('other')} are other code,"
        f" {found.count('absent')} could not be compared"
    )
    return lines
