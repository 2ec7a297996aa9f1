"""Prebuilt CK2stages MoE modules of AITER for gfx950, and the finder that serves them.

Importing this package loads neither torch nor aiter nor anything outside the standard library.
"""

# No "from __future__ import annotations" here: it is a file more at every interpreter start.
TYPE_CHECKING = False  # typing's own constant costs an import at every interpreter start
if TYPE_CHECKING:
    from aiter_prebuilt.serve.record import Event
    from aiter_prebuilt.serve.report import Report


def install() -> None:
    """Activate the finder where no start-up file did: ``python -S``, PYTHONPATH, ``pip --target``.

    Call it before AITER's first MoE call; a second call changes nothing.
    """
    from aiter_prebuilt import _hook

    _hook.install()


def reasons() -> "tuple[Event, ...]":
    """Return what was served or declined in this process, and why, oldest first."""
    from aiter_prebuilt.serve import record

    return record.events()


def report() -> "Report":
    """Return this process's cold start as data: served, handed on, declined, compiled by AITER."""
    from aiter_prebuilt.serve import report as reporting

    return reporting.gather()
