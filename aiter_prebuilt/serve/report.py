"""A process's cold start as data: what was served, handed on and declined, what AITER compiled.

AITER's builds are measured, not guessed.  AITER asks for a module, compiles it where nobody has it,
and imports the file: the time from the question to the file's last change is what the build took,
waiting for another process's build included.
"""

from __future__ import annotations

import atexit
import logging
import sys
import time
from pathlib import Path

from aiter_prebuilt.serve import record
from aiter_prebuilt.values import value_class

_PACKAGE = "aiter.jit."


@value_class(frozen=True, kw_only=True)
class Served:
    """A prebuilt module that was loaded."""

    module: str
    """AITER's name of it."""
    wheel: str
    """Version of the wheel that it comes from."""
    coverage: str
    milliseconds: float
    """To check and load it."""


@value_class(frozen=True, kw_only=True)
class HandedOn:
    """A served module's calls that somebody else takes."""

    module: str
    to: str
    """A module of a wheel, or ``AITER's own build``."""
    seconds: float
    """Until that was there; AITER's compile is in it."""


@value_class(frozen=True, kw_only=True)
class Compiled:
    """A module that AITER built in this process, or waited for."""

    module: str
    seconds: float


@value_class(frozen=True, kw_only=True)
class Report:
    """All of it; each list oldest first."""

    served: tuple[Served, ...]
    handed_on: tuple[HandedOn, ...]
    declined: tuple[record.Event, ...]
    """Why modules were not served, one entry a reason."""
    compiled: tuple[Compiled, ...]

    def line(self) -> str:
        """Return one line for a log."""
        built = ", ".join(f"{found.module} {found.seconds:.1f} s" for found in self.compiled)
        spent = sum(found.milliseconds for found in self.served)
        declined = len({event.module for event in self.declined})
        return (
            f"{len(self.served)} modules served in {spent:.0f} ms, "
            f"{len(self.handed_on)} handed on, {declined} declined; "
            f"AITER compiled {built or 'nothing'}"
        )


_SERVED: list[Served] = []
_HANDED_ON: list[HandedOn] = []
_ASKED: dict[str, float] = {}
"""Full name of a module that AITER has to find itself -> when it asked, in seconds since 1970."""


def served(found: Served) -> None:
    """Note a module that was loaded."""
    _SERVED.append(found)
    _say_at_exit()


def handed_on(found: HandedOn) -> None:
    """Note where a module's uncovered calls go."""
    _HANDED_ON.append(found)


def left_to_aiter(fullname: str) -> None:
    """Note that AITER has to find ``fullname`` itself: a build may begin now."""
    if fullname not in _ASKED:
        _ASKED[fullname] = time.time()
        _say_at_exit()


def gather() -> Report:
    """Return what happened in this process so far."""
    quiet = (
        *("served", "uncovered", "uncovered-to", "instead"),
        *("setting", "aiter-unknown", "off", "rebuild"),
    )
    return Report(
        served=tuple(_SERVED),
        handed_on=tuple(_HANDED_ON),
        declined=tuple(event for event in record.events() if event.code not in quiet),
        compiled=tuple(_compiled()),
    )


def _compiled() -> list[Compiled]:
    found = []
    for fullname, asked in _ASKED.items():
        try:
            # A finished build is in sys.modules, from the file that it wrote.
            changed = Path(sys.modules[fullname].__file__ or "").stat().st_mtime
        except (KeyError, AttributeError, OSError):
            continue
        if changed >= asked:
            name = fullname.removeprefix(_PACKAGE)
            found.append(Compiled(module=name, seconds=changed - asked))
    return found


_saying = False


def _say_at_exit() -> None:
    global _saying  # noqa: PLW0603  once a process
    if not _saying:
        _saying = True
        atexit.register(lambda: record.say(gather().line(), level=logging.INFO))
