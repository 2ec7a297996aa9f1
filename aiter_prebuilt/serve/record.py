"""What this process served and declined: one list, each decline logged once."""

from __future__ import annotations

import logging

from aiter_prebuilt.values import value_class

# A child of AITER's logger: its handler and level then apply to these lines too.
_LOG = logging.getLogger("aiter.prebuilt")


@value_class(frozen=True, kw_only=True)
class Event:
    """One decision about one module."""

    module: str
    """AITER's name of the module (the stock name), or ``*`` where it concerns all of them."""
    code: str
    """``served`` or a reason code of :mod:`aiter_prebuilt.reason`."""
    message: str


_EVENTS: dict[tuple[str, str, str], Event] = {}


def add(module: str, code: str, message: str, *, level: int = logging.WARNING) -> Event:
    """Note a decision; a decision that was noted before is not logged again."""
    event = Event(module=module, code=code, message=message)
    key = (module, code, message)
    if key not in _EVENTS:
        _EVENTS[key] = event
        _LOG.log(level, "prebuilt %s: %s (%s)", module, message, code)
    return event


def say(message: str, *, level: int) -> None:
    """Log a line that is no decision."""
    _LOG.log(level, "prebuilt: %s", message)


def events() -> tuple[Event, ...]:
    """Return all decisions of this process, oldest first."""
    return tuple(_EVENTS.values())
