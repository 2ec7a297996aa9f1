"""Semantics of gfx950 instructions, one module a class; ``build`` finds them by mnemonic."""

from __future__ import annotations

from prebuild.gfx950.isa import (
    compare,
    control,
    convert,
    crosslane,
    division,
    integer,
    lds,
    matrix,
    packed,
    salu,
    scratch,
    single,
    smem,
    vmem,
    wide,
)
from prebuild.gfx950.isa.registry import Operation, build, known

__all__ = ["Operation", "build", "known"]

_MODULES = (
    compare, control, convert, crosslane, division,
    integer, lds, matrix, packed, salu, scratch, single,
    smem, vmem, wide,
)  # fmt: skip
"""Importing a module enters its instructions into the table."""
