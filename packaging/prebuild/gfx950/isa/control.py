"""Branches, barriers, waits and MODE."""

from __future__ import annotations

import re
from collections.abc import Callable

from prebuild.gfx950.arrays import ALL
from prebuild.gfx950.disassembly import VCC, Instruction
from prebuild.gfx950.errors import UndefinedValue
from prebuild.gfx950.isa.registry import BARRIER, END, Run, Traits, family, instruction
from prebuild.gfx950.isa.shapes import sources_of
from prebuild.gfx950.isa.sources import set_scalar64
from prebuild.gfx950.wave import Wave

_KEEP16 = 3 << 6
_MODE = re.compile(r"hwreg\(HW_REG_MODE(?:, (\d+), (\d+))?\)")


@instruction("s_nop")
def _nothing(found: Instruction) -> Run:
    """No effect on values: timing is not modelled."""
    return lambda wave: None


@instruction("s_endpgm")
def _end(found: Instruction) -> Run:
    """End the wave."""
    return lambda wave: END


@instruction("s_barrier")
def _barrier(found: Instruction) -> Run:
    """Stop until every wave of the workgroup that has not ended is here."""
    return lambda wave: BARRIER


@instruction("s_waitcnt", traits=Traits(modifiers="vmcnt lgkmcnt"))
def _waitcnt(found: Instruction) -> Run:
    """Wait until at most so many instructions of each kind are outstanding."""
    if found.operands:
        raise found.unsupported("s_waitcnt without counter names")
    vector = found.modifiers.get("vmcnt")
    scalar = found.modifiers.get("lgkmcnt")

    def run(wave: Wave) -> None:
        if vector is not None:
            wave.wait_vm(int(vector))
        if scalar is not None:
            wave.wait_lgkm(int(scalar))

    return run


def _scc(wave: Wave) -> bool:
    if wave.scc_undefined:
        raise UndefinedValue("a branch is decided by an undefined SCC")
    return bool(wave.scc)


def _vcc(wave: Wave) -> bool:
    if (wave.su[VCC] | wave.su[VCC + 1] << 32) & ALL:
        raise UndefinedValue("a branch is decided by an undefined VCC")
    return wave.get64(VCC) != 0


Condition = Callable[[Wave], bool]
_CONDITIONS: dict[str, Condition] = {
    "s_branch": lambda wave: True,
    "s_cbranch_scc1": _scc,
    "s_cbranch_vccz": lambda wave: not _vcc(wave),
    "s_cbranch_vccnz": _vcc,
    "s_cbranch_execz": lambda wave: wave.exec == 0,
}


def branch_target(found: Instruction) -> int:
    """Return the address that a branch goes to: the next instruction plus 4 times SIMM16."""
    short = (int(found.operands[0].value) & 0xFFFF ^ 0x8000) - 0x8000
    return found.address + 4 + 4 * short


@family(_CONDITIONS)
def _branch(found: Instruction, condition: Condition) -> Run:
    """Go elsewhere; the program replaces the address by the index of the instruction there."""
    target = branch_target(found)

    def run(wave: Wave) -> int | None:
        return wave.index_of[target] if condition(wave) else None

    return run


@instruction("s_getpc_b64")
def _getpc(found: Instruction) -> Run:
    """Put the address of the next instruction into a pair."""
    (target,) = sources_of(found, 1, first=0)
    put, after = set_scalar64(found, target), found.address + 4
    return lambda wave: put(wave, wave.code_base + after, 0)


@instruction("s_setreg_imm32_b32")
def _setreg(found: Instruction) -> Run:
    """Set bits of MODE: rounding in bits 0 to 3, denormals of f32 in 4, 5, of f16, f64 in 6, 7.

    Only the denormals of f32 may differ from what the executor assumes.
    """
    register, constant = sources_of(found, 2, first=0)
    match = _MODE.fullmatch(register.text)
    if match is None:
        raise found.unsupported("only MODE can be set")
    offset, size = int(match[1] or 0), int(match[2] or 32)
    mask = ((1 << size) - 1) << offset
    value = (int(constant.value) << offset) & mask
    if mask & ~0xFF:
        raise found.unsupported("bits of MODE above the denormal controls")
    if value & 15:
        raise found.unsupported("a rounding mode other than nearest even")
    if value & _KEEP16 != mask & _KEEP16:
        raise found.unsupported("a mode that flushes denormals of f16 and f64")

    def run(wave: Wave) -> None:
        wave.denorm32 = ((wave.denorm32 << 4 & ~mask) | value) >> 4 & 3

    return run
