"""Which instructions occur in kernels: what the executor has to know, and its tests to cover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from prebuild.gfx950 import codeobject, disassembly
from prebuild.gfx950.program import kernel_code
from prebuild.verify.subject import Subject


def census(subjects: Sequence[Subject], objdump: Path) -> Counter[str]:
    """Return each mnemonic, as the disassembler writes it, and how many kernels have it."""
    counts: Counter[str] = Counter()
    for subject in subjects:
        code = codeobject.parse(subject.data)
        listing = disassembly.parse(disassembly.disassemble(subject.data, objdump))
        counts.update({found.mnemonic for found in kernel_code(code, listing, subject.symbol)})
    return counts


def as_toml(counts: Counter[str], kernels: int) -> str:
    """Return the census as a TOML file, mnemonics in alphabetical order."""
    lines = [
        "# Mnemonics that occur in kernels, and how many of the kernels have each one.",
        "# Made by `prebuild verify-kernels PATH --mnemonics`.",
        f"of = {kernels}",
        "",
        "[kernels]",
    ]
    lines += [f"{mnemonic} = {count}" for mnemonic, count in sorted(counts.items())]
    return "\n".join(lines) + "\n"
