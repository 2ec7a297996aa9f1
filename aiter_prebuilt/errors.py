"""The errors of the runtime; their base is :class:`PrebuiltError`."""

from __future__ import annotations


class PrebuiltError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 3
    """Of ``aiter-prebuilt``, see docs/exit-codes.md."""


class UsageError(PrebuiltError):
    """The command line is wrong."""

    exit_code = 2


class ElfError(PrebuiltError):
    """A file is not an ELF shared object that this machine could map safely."""


class BinaryError(PrebuiltError):
    """The bytes of a module are not those that the manifest describes.

    ``code`` is the machine-readable reason (see :mod:`aiter_prebuilt.host.match`).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StrictMissError(PrebuiltError, ImportError):
    """``AITER_PREBUILT=strict`` and no prebuilt module can be served.

    It is an ImportError but no ModuleNotFoundError: AITER builds on the latter only.
    """


class UncoveredShapeError(PrebuiltError, RuntimeError):
    """A call lies outside a reduced module's coverage and no full module is to be had."""


class SeedError(PrebuiltError):
    """A JIT directory could not be seeded."""


class DamagedWheelError(PrebuiltError):
    """An installed manifest cannot be read, so nobody knows what the wheel holds."""

    exit_code = 4
