"""What stops a verification."""

from __future__ import annotations

from typing import ClassVar

from prebuild.core.errors import PrebuildError, ProblemsError


class UnknownKernelError(PrebuildError):
    """A kernel for which no problem is known."""

    exit_code: ClassVar[int] = 8

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(
            f"no problem is known for kernel {symbol[:200]}; expected one of CK's MoE kernels of"
            " a family that packaging/prebuild/verify/subject.py reads: its facts belong there,"
            " its operands into verify/problems.py, layouts.py and launches.py"
        )


class NoKernelError(PrebuildError):
    """No kernel is there, or none of the name that was asked for: to run nothing is no success."""

    exit_code: ClassVar[int] = 2


class VerificationError(ProblemsError):
    """At least one kernel is wrong or could not be run; one problem each."""

    exit_code: ClassVar[int] = 8
