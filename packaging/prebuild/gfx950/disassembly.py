"""From LLVM's disassembly to typed instructions: parsed once, semantics come later."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiter_prebuilt import target
from prebuild.core import proc
from prebuild.gfx950.errors import CodeObjectError, UnsupportedInstruction

_LINE = re.compile(r"^\t(?P<text>\S.*?)\s*// (?P<address>[0-9A-F]+): (?P<code>[0-9A-F ]+?)\s*(<|$)")
_SYMBOL = re.compile(r"^(?P<address>[0-9a-f]+) <(?P<name>.*)>:$")
_REGISTER = re.compile(r"^(?P<file>[vas])(?:(?P<one>\d+)|\[(?P<low>\d+):(?P<high>\d+)\])$")
_MODIFIER = re.compile(r"^(?P<key>[a-z_0-9]+)(?::(?P<value>.+))?$")
_FORM = re.compile(r"_(e32|e64|sdwa|dpp)$")

SPECIAL = {
    "flat_scratch_lo": (102, 1),
    "flat_scratch_hi": (103, 1),
    "flat_scratch": (102, 2),
    "vcc_lo": (106, 1),
    "vcc_hi": (107, 1),
    "vcc": (106, 2),
    "m0": (124, 1),
    "exec_lo": (126, 1),
    "exec_hi": (127, 1),
    "exec": (126, 2),
}
"""Scalar registers that have a name: first index and number of dwords."""
VCC, M0, EXEC = 106, 124, 126


@dataclass(frozen=True, kw_only=True)
class Operand:
    """One operand as the assembler writes it."""

    kind: str
    """``v`` (VGPR; accumulation registers count from 256), ``s``, ``int``, ``float``, ``text``."""
    text: str
    index: int = 0
    count: int = 1
    """Dwords of a register operand."""
    value: float = 0
    literal: bool = False
    """Written in hexadecimal: a 32-bit literal, not an inline constant."""
    negate: bool = False
    absolute: bool = False
    sign_extend: bool = False


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One decoded instruction."""

    mnemonic: str
    """As the assembler writes it: ``name``, and ``form`` where the instruction has several."""
    name: str
    form: str
    """Encoding suffix: e32, e64, sdwa, dpp, or empty."""
    operands: tuple[Operand, ...]
    modifiers: Mapping[str, str]
    """Key -> value, the value empty for a flag such as ``lds`` or ``clamp``."""
    address: int
    size: int
    code: tuple[int, ...]
    """Machine code, little-endian dwords."""
    text: str = field(compare=False)

    def unsupported(self, why: str) -> UnsupportedInstruction:
        """Return the error that names this instruction."""
        return UnsupportedInstruction(f"{why}: `{self.text}`")


def disassemble(data: bytes, objdump: Path) -> str:
    """Return ``llvm-objdump -d`` of a code object."""
    with tempfile.NamedTemporaryFile(suffix=".co") as file:
        file.write(data)
        file.flush()
        return proc.run([objdump, "-d", f"--mcpu={target.load().gfx}", Path(file.name)]).decode()


def parse(text: str) -> dict[int, Instruction]:
    """Return address -> instruction for each line of code in objdump's output."""
    found: dict[int, Instruction] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            instruction = parse_line(
                match["text"], int(match["address"], 16), match["code"].split()
            )
            found[instruction.address] = instruction
        elif line.startswith("\t") and line.strip() != "...":
            raise CodeObjectError(f"objdump line not understood: {line!r}")
    if not found:
        raise CodeObjectError("objdump printed no instruction")
    return found


def parse_line(text: str, address: int = 0, code: list[str] | None = None) -> Instruction:
    """Parse one instruction such as ``v_add_u32_e32 v1, s2, v3``."""
    mnemonic, _, rest = text.strip().partition(" ")
    operands: list[Operand] = []
    modifiers: dict[str, str] = {}
    for part in _split(rest, ","):
        words = _split(part, " ")
        if not words:
            continue
        if mnemonic == "s_waitcnt":
            modifiers.update(_counter(word) for word in words)
            continue
        operands.append(parse_operand(words[0]))
        modifiers.update(_modifier(word) for word in words[1:])
    words32 = tuple(int(word, 16) for word in code or [])
    form = _FORM.search(mnemonic)
    return Instruction(
        mnemonic=mnemonic,
        name=mnemonic[: form.start()] if form else mnemonic,
        form=form[1] if form else "",
        operands=tuple(operands),
        modifiers=modifiers,
        address=address,
        size=4 * len(words32),
        code=words32,
        text=re.sub(r"\s+", " ", text.strip()),
    )


@functools.cache
def parse_operand(text: str) -> Operand:
    """Parse one operand: register, constant, or a name kept as text."""
    if text.startswith("-") and text[1:2] in "vsa|l":
        inner = parse_operand(text[1:])
        return _with(inner, text, negate=True)
    if text.startswith("|") and text.endswith("|"):
        return _with(parse_operand(text[1:-1]), text, absolute=True)
    for prefix, flag in (("neg(", "negate"), ("abs(", "absolute"), ("sext(", "sign_extend")):
        if text.startswith(prefix):
            return _with(parse_operand(text[len(prefix) : -1]), text, **{flag: True})
    if text.startswith("lit("):
        return _with(parse_operand(text[4:-1]), text, literal=True)
    if text in SPECIAL:
        index, count = SPECIAL[text]
        return Operand(kind="s", text=text, index=index, count=count)
    match = _REGISTER.match(text)
    if match:
        low = int(match["one"] or match["low"])
        high = int(match["one"] or match["high"])
        base = 256 if match["file"] == "a" else 0
        kind = "s" if match["file"] == "s" else "v"
        return Operand(kind=kind, text=text, index=low + base, count=high - low + 1)
    return _constant(text)


def _constant(text: str) -> Operand:
    if re.fullmatch(r"-?0x[0-9a-f]+", text):
        return Operand(kind="int", text=text, value=int(text, 16), literal=True)
    if re.fullmatch(r"-?\d+", text):
        return Operand(kind="int", text=text, value=int(text))
    if re.fullmatch(r"-?\d+\.\d+", text):
        return Operand(kind="float", text=text, value=float(text))
    return Operand(kind="text", text=text)


def _with(inner: Operand, text: str, **changes: bool) -> Operand:
    merged = {**inner.__dict__, "text": text, **changes}
    return Operand(**merged)


def _modifier(word: str) -> tuple[str, str]:
    match = _MODIFIER.match(word)
    if not match:
        raise UnsupportedInstruction(f"modifier not understood: {word!r}")
    return match["key"], match["value"] or ""


def _counter(word: str) -> tuple[str, str]:
    name, _, value = word.partition("(")
    return name, value.rstrip(")")


def _split(text: str, separator: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in text:
        depth += character in "(["
        depth -= character in ")]"
        if character == separator and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    return [part.strip() for part in parts if part.strip()]
