"""What can go wrong while machine code runs; each names the instruction and the wave."""

from __future__ import annotations

from typing import ClassVar

from prebuild.core.errors import PrebuildError


class ExecutorError(PrebuildError):
    """Base: the kernel did something that is wrong, or that this executor does not know."""

    exit_code: ClassVar[int] = 8

    def __init__(self, message: str) -> None:
        self.message = message
        self.where = ""
        super().__init__(message)

    def locate(self, where: str) -> None:
        """Add the place (workgroup, wave, address, instruction), once."""
        if not self.where:
            self.where = where
            self.args = (f"{self.message}\n  at {where}",)


class UnsupportedInstruction(ExecutorError):  # noqa: N818 - it is a limit of ours, not a fault
    """A mnemonic, operand form or modifier whose semantics are not written down here."""


class CodeObjectError(ExecutorError):
    """The bytes are not a gfx950 code object, or lack the kernel that was asked for."""


class MemoryFault(ExecutorError):  # noqa: N818
    """An access outside every allocation, or a write to one that is read-only."""


class UndefinedValue(ExecutorError):  # noqa: N818
    """A value that nothing defined decides a branch, an address, EXEC, or reaches the output."""


class MissingWait(ExecutorError):  # noqa: N818
    """A register is used while a load into it is in flight."""


class DataRace(ExecutorError):  # noqa: N818
    """Two waves use the same LDS dword between two barriers and one of them writes it."""


class Runaway(ExecutorError):  # noqa: N818
    """A wave ran more instructions than any of our problems can need."""
