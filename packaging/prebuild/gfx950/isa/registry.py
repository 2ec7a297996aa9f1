"""The table of instructions: name -> builder of the closure that runs it.

A builder never reads a mnemonic: what tells the instructions of one family apart is the entry of a
table that :func:`family` hands over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from prebuild.gfx950.disassembly import M0, Instruction, Operand
from prebuild.gfx950.isa.places import file_of, place_of
from prebuild.gfx950.wave import VGPR_ID, Wave

T = TypeVar("T")
Run = Callable[[Wave], int | None]
"""Runs one instruction; returns the index of the next one where that is not the following one."""
Builder = Callable[[Instruction], Run]
FamilyBuilder = Callable[[Instruction, T], Run]

BARRIER, END = -1, -2
"""Returned by a run closure where the wave stops at a barrier, or ends."""

_SDWA = frozenset({"dst_sel", "dst_unused", "src0_sel", "src1_sel"})


@dataclass(slots=True)
class Operation:
    """One instruction, ready to run."""

    run: Run
    instruction: Instruction
    touch_vm: frozenset[int]
    """Registers that no outstanding vector memory instruction may still write."""
    touch_lgkm: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the table says of an instruction beside its builder."""

    modifiers: str = ""
    """Those whose meaning the builder knows, with blanks between them; any other is an error."""
    queue: str = ""
    """``vm`` or ``lgkm`` where the first operand is written when that counter says so."""
    reads: tuple[int, ...] = ()
    """Scalar registers that are read without being named."""
    selects: bool = False
    """Whether the builder knows SDWA selects of its sources."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    builder: Builder
    traits: Traits
    file: str


_PLAIN = Traits()
_TABLE: dict[str, _Entry] = {}


def instruction(*names: str, traits: Traits = _PLAIN) -> Callable[[Builder], Builder]:
    """Enter a builder for instructions (without encoding suffix) that mean the same."""

    def enter(builder: Builder) -> Builder:
        for name in names:
            _enter(name, builder, traits, builder.__module__)
        return builder

    return enter


def family(
    table: Mapping[str, T], *, traits: Traits = _PLAIN
) -> Callable[[FamilyBuilder[T]], FamilyBuilder[T]]:
    """Enter a builder for every name of ``table``; it gets the instruction and the name's entry."""

    def enter(builder: FamilyBuilder[T]) -> FamilyBuilder[T]:
        for name, entry in table.items():
            _enter(name, _bound(builder, entry), traits, builder.__module__)
        return builder

    return enter


def _bound(builder: FamilyBuilder[T], entry: T) -> Builder:
    return lambda found: builder(found, entry)


def _enter(name: str, builder: Builder, traits: Traits, module: str) -> None:
    if name in _TABLE:
        raise ValueError(f"{name} is entered twice: in {_TABLE[name].file} and {module}")
    _TABLE[name] = _Entry(builder=builder, traits=traits, file=file_of(module))


def known() -> frozenset[str]:
    """Return the name of every instruction that has semantics."""
    return frozenset(_TABLE)


def build(found: Instruction) -> Operation:
    """Return the operation.

    Raises :class:`prebuild.gfx950.errors.UnsupportedInstruction` that names what is not known, and
    the file where it belongs.
    """
    entry = _TABLE.get(found.name)
    if entry is None:
        raise found.unsupported(
            f"no semantics for {found.name}, which belongs in {place_of(found.name)}"
        )
    traits = entry.traits
    if found.form == "dpp" or (found.form == "sdwa" and not traits.selects):
        raise found.unsupported(
            f"{entry.file} does not model the {found.form} form of {found.name}"
        )
    allowed = set(traits.modifiers.split()) | (_SDWA if found.form == "sdwa" else frozenset())
    unknown = sorted(set(found.modifiers) - allowed)
    if unknown:
        names = ", ".join(unknown)
        raise found.unsupported(f"{entry.file} does not model modifiers {names} of {found.name}")
    touched = _registers(found, traits)
    loads = traits.queue and found.operands and "lds" not in found.modifiers
    own = frozenset(ids(found.operands[0])) if loads else frozenset()
    sources = frozenset(i for operand in found.operands[1:] for i in ids(operand))
    ordered = touched - (own - sources)
    return Operation(
        run=entry.builder(found),
        instruction=found,
        touch_vm=ordered if traits.queue == "vm" else touched,
        touch_lgkm=ordered if traits.queue == "lgkm" else touched,
    )


def ids(operand: Operand) -> range:
    """Return the register ids of an operand; empty where it is no register."""
    if operand.kind == "v":
        return range(VGPR_ID + operand.index, VGPR_ID + operand.index + operand.count)
    if operand.kind == "s":
        return range(operand.index, operand.index + operand.count)
    return range(0)


def _registers(found: Instruction, traits: Traits) -> frozenset[int]:
    touched = {i for operand in found.operands for i in ids(operand)}
    touched.update(traits.reads)
    if "lds" in found.modifiers:
        touched.add(M0)
    return frozenset(touched)
