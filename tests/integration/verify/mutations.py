"""Faults put into a kernel's code, or into the executor, one at a time.

A mutant of the code changes the disassembly; a mutant of the executor replaces a function.  Each
has to be seen by the comparison with the reference, or by one of the executor's own checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np

from prebuild.gfx950 import formats
from prebuild.gfx950.disassembly import Instruction, parse_line
from prebuild.gfx950.isa import matrix

Code = dict[int, Instruction]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mutant:
    """One changed instruction."""

    kind: str
    address: int
    before: str
    after: Instruction


def mutants(code: Code) -> Iterator[Mutant]:
    """Yield every mutant of a kernel's code."""
    for found in code.values():
        for kind, make in _KINDS.items():
            for text in make(found):
                words = [f"{word:08X}" for word in found.code]
                after = parse_line(text, found.address, words)
                yield Mutant(kind=kind, address=found.address, before=found.text, after=after)


def apply(code: Code, mutant: Mutant) -> Code:
    """Return the code with one instruction changed."""
    return {**code, mutant.address: mutant.after}


def _drop_wait(found: Instruction) -> Iterator[str]:
    if found.mnemonic == "s_waitcnt":
        for counter in found.modifiers:
            rest = {name: value for name, value in found.modifiers.items() if name != counter}
            text = " ".join(f"{name}({value})" for name, value in rest.items())
            yield f"s_waitcnt {text}" if text else "s_nop 0"


def _drop_barrier(found: Instruction) -> Iterator[str]:
    if found.mnemonic == "s_barrier":
        yield "s_nop 0"


def _wrong_scale_select(found: Instruction) -> Iterator[str]:
    if found.mnemonic.startswith("v_mfma_scale"):
        for name in ("op_sel", "op_sel_hi"):
            bits = found.modifiers.get(name, "[0,0,0]").strip("[]").split(",")
            for which in range(2):
                changed = [*bits]
                changed[which] = str(1 - int(bits[which]))
                rest = re.sub(rf" {name}:\[[^]]*\]", "", found.text)
                yield f"{rest} {name}:[{','.join(changed)}]"


def _swapped_operands(found: Instruction) -> Iterator[str]:
    if found.mnemonic.startswith("v_mfma"):
        texts = [operand.text for operand in found.operands]
        texts[1], texts[2] = texts[2], texts[1]
        tail = found.text.split(found.operands[-1].text, 1)[1]
        yield f"{found.mnemonic} {', '.join(texts)}{tail}"


def _wrong_offset(found: Instruction) -> Iterator[str]:
    if found.mnemonic.startswith(("ds_read", "buffer_load")) and "offset" in found.modifiers:
        old = int(found.modifiers["offset"])
        yield found.text.replace(f"offset:{old}", f"offset:{old + 16}")


def _wrong_operation(found: Instruction) -> Iterator[str]:
    for old, new in (("v_add_f32", "v_sub_f32"), ("v_mul_f32", "v_add_f32")):
        if found.mnemonic.startswith(old):
            yield found.text.replace(old, new)


_KINDS: dict[str, Callable[[Instruction], Iterator[str]]] = {
    "dropped wait": _drop_wait,
    "dropped barrier": _drop_barrier,
    "wrong scale select": _wrong_scale_select,
    "swapped A and B": _swapped_operands,
    "wrong offset": _wrong_offset,
    "wrong operation": _wrong_operation,
}


@contextmanager
def executor_fault(name: str) -> Iterator[None]:
    """Break the executor while the context lasts."""
    with _FAULTS[name]():
        yield


def _patched(target: object, name: str, value: object) -> Callable[[], object]:
    return lambda: mock.patch.object(target, name, value)


_operand, _scale, _result = matrix.operand_matrix, matrix.scale_matrix, matrix.result_registers
_FAULTS: dict[str, Callable[[], object]] = {
    "rows of A and B by lane//4": _patched(
        matrix,
        "operand_matrix",
        lambda raw, form, shape: _operand(
            raw[:, np.arange(64).reshape(16, 4).T.reshape(-1)], form, shape
        ),
    ),
    "halves of K as for fp8": _patched(
        matrix,
        "operand_matrix",
        lambda raw, form, shape: _operand(raw, replace(form, halves=True), shape),
    ),
    "scale of the next block": _patched(
        matrix,
        "scale_matrix",
        lambda raw, select, shape: _scale(np.roll(raw, 16), select, shape),
    ),
    "scale of the next byte": _patched(
        matrix,
        "scale_matrix",
        lambda raw, select, shape: _scale(raw, (select + 1) % 4, shape),
    ),
    "result transposed": _patched(
        matrix, "result_registers", lambda data, shape: _result(data.T, shape)
    ),
    "scale bias of 126": _patched(formats, "E8M0", formats.E8M0 * 2),
}
FAULTS = tuple(_FAULTS)
