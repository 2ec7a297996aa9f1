"""The table of instructions: mnemonic -> builder of the closure that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prebuild.gfx950.disassembly import M0, VCC, Instruction, Operand
from prebuild.gfx950.errors import UnsupportedInstruction
from prebuild.gfx950.wave import VGPR_ID, Wave

Run = Callable[[Wave], int | None]
"""Runs one instruction; returns the index of the next one where that is not the following one."""
Builder = Callable[[Instruction], Run]

BARRIER, END = -1, -2
"""Returned by a run closure where the wave stops at a barrier, or ends."""

_SUFFIXES = ("_e32", "_e64", "_sdwa", "_dpp", "_e64_dpp")
_IMPLICIT_VCC = ("v_div_fmas_f32",)


@dataclass(slots=True)
class Operation:
    """One instruction, ready to run."""

    run: Run
    instruction: Instruction
    touch_vm: frozenset[int]
    """Registers that no outstanding vector memory instruction may still write."""
    touch_lgkm: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    builder: Builder
    modifiers: frozenset[str]
    queue: str


_TABLE: dict[str, _Entry] = {}


def instruction(
    *mnemonics: str, modifiers: str = "", queue: str = ""
) -> Callable[[Builder], Builder]:
    """Enter a builder for ``mnemonics`` (without encoding suffix).

    ``modifiers`` names those whose meaning the builder knows; any other is an error.  ``queue`` is
    ``vm`` or ``lgkm`` where the first operand is written when that counter says so.
    """

    def enter(builder: Builder) -> Builder:
        for mnemonic in mnemonics:
            _TABLE[mnemonic] = _Entry(
                builder=builder, modifiers=frozenset(modifiers.split()), queue=queue
            )
        return builder

    return enter


def known() -> frozenset[str]:
    """Return every mnemonic that has semantics."""
    return frozenset(_TABLE)


def base_name(mnemonic: str) -> tuple[str, str]:
    """Split ``v_add_u32_e32`` into ``v_add_u32`` and ``e32`` (empty where there is none)."""
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if mnemonic.endswith(suffix):
            return mnemonic[: -len(suffix)], suffix[1:]
    return mnemonic, ""


def build(found: Instruction) -> Operation:
    """Return the operation, or raise :class:`UnsupportedInstruction` naming what is not known."""
    name, form = base_name(found.mnemonic)
    entry = _TABLE.get(name)
    if entry is None:
        raise found.unsupported(f"no semantics for {name}")
    allowed = entry.modifiers | _of_form(form)
    unknown = sorted(set(found.modifiers) - allowed)
    if unknown:
        raise found.unsupported(f"modifiers {', '.join(unknown)} of {name} are not modelled")
    touched = frozenset(_registers(found))
    loads = entry.queue and found.operands and "lds" not in found.modifiers
    own = frozenset(ids(found.operands[0])) if loads else frozenset()
    sources = frozenset(i for operand in found.operands[1:] for i in ids(operand))
    ordered = touched - (own - sources)
    return Operation(
        run=entry.builder(found),
        instruction=found,
        touch_vm=ordered if entry.queue == "vm" else touched,
        touch_lgkm=ordered if entry.queue == "lgkm" else touched,
    )


def refuse(found: Instruction) -> Run:
    """Return a closure that raises: code that is never reached may be unknown."""
    try:
        return build(found).run
    except UnsupportedInstruction as error:
        message = error.message

    def run(wave: Wave) -> int | None:
        raise UnsupportedInstruction(message)

    return run


def ids(operand: Operand) -> range:
    """Return the register ids of an operand; empty where it is no register."""
    if operand.kind == "v":
        return range(VGPR_ID + operand.index, VGPR_ID + operand.index + operand.count)
    if operand.kind == "s":
        return range(operand.index, operand.index + operand.count)
    return range(0)


def _registers(found: Instruction) -> list[int]:
    touched = [i for operand in found.operands for i in ids(operand)]
    if base_name(found.mnemonic)[0] in _IMPLICIT_VCC:
        touched += [VCC, VCC + 1]
    if "lds" in found.modifiers or "_load_lds_" in found.mnemonic:
        touched.append(M0)
    return touched


def _of_form(form: str) -> frozenset[str]:
    if form == "sdwa":
        return frozenset({"dst_sel", "dst_unused", "src0_sel", "src1_sel"})
    if form.endswith("dpp"):
        return frozenset({"quad_perm", "row_shl", "row_shr", "row_ror", "row_newbcast",
                          "row_mirror", "row_half_mirror", "row_bcast", "wave_shr",
                          "row_mask", "bank_mask", "bound_ctrl"})  # fmt: skip
    return frozenset()
