"""Whether two code objects hold the same machine code, kernel by kernel.

Two things may differ without a difference of code and are normalised: the literals of an address
that ``s_getpc_b64`` begins (they depend on where the kernel lies in its object), and what pads the
end of a function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SYMBOL = re.compile(r"^[0-9a-f]+ <(?P<name>.+)>:$")
_INSTRUCTION = re.compile(r"^\t(?P<text>\S.*?)\s*(//\s*[0-9A-Fa-f]+:\s*(?P<code>[0-9A-F ]*).*)?$")
_LITERAL = re.compile(r"(lit\()?\b0x[0-9a-f]+\)?$")
_PC = "s_getpc_b64"
_ADDRESS = ("s_add_u32", "s_addc_u32")
_ZERO = "(zero)"  # a word of zeros: padding, though it decodes as an instruction
_PADDING = ("s_nop", "s_code_end", "v_illegal", _ZERO)
_REACH = 4  # an address is complete within so many instructions after s_getpc_b64


def kernels(disassembly: str) -> dict[str, tuple[str, ...]]:
    """Return symbol -> normalised instructions of ``llvm-objdump -d --no-show-raw-insn``."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in disassembly.splitlines():
        if symbol := _SYMBOL.match(line):
            current = found.setdefault(symbol["name"], [])
        elif instruction := _INSTRUCTION.match(line):
            zero = (instruction["code"] or "").strip() == "00000000"
            current.append(_ZERO if zero else instruction["text"])
    return {name: _normalise(lines) for name, lines in found.items()}


def differences(
    one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Say, for each kernel of ``one``, how ``other`` differs; nothing where it is the same."""
    problems = []
    for name, code in one.items():
        theirs = other.get(name)
        if theirs is None:
            problems.append(f"{name[:60]}...: not in the other object")
        elif theirs != code:
            problems.append(f"{name[:60]}...: {_first(code, theirs)}")
    return problems


def _normalise(lines: list[str]) -> tuple[str, ...]:
    kept = list(lines)
    while kept and kept[-1].split()[0] in _PADDING:
        kept.pop()
    begun = -_REACH - 1
    for index, text in enumerate(kept):
        mnemonic = text.split()[0]
        if mnemonic == _PC:
            begun = index
        elif mnemonic in _ADDRESS and index - begun <= _REACH:
            kept[index] = _LITERAL.sub("PC", text)
    return tuple(kept)


def _first(code: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    for index, (mine, their) in enumerate(zip(code, theirs, strict=False)):
        if mine != their:
            return f"instruction {index} is {mine!r}, in the other {their!r}"
    return f"{len(code)} instructions, in the other {len(theirs)}"
