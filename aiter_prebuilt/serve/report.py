"""A process's cold start as data: what was served, handed on and declined, what AITER compiled.

AITER's builds are measured, not guessed.  AITER asks for a module, compiles it where nobody has it,
and imports the file: the time from the question to the file's last change is what the build took,
waiting for another process's build included.
"""

from __future__ import annotations

import atexit
import logging
import os
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
        count = f"{len(self.served)} module{'' if len(self.served) == 1 else 's'}"
        return (
            f"{count} served in {spent:.0f} ms, "
            f"{len(self.handed_on)} handed on, {declined} declined; "
            f"AITER compiled {built or 'nothing'}"
        )


_SERVED: list[Served] = []
_HANDED_ON: list[HandedOn] = []
_BUILT: list[Compiled] = []
"""What AITER built for calls that a served module handed on."""
_ASKED: dict[str, float] = {}
"""Full name of a module that AITER has to find itself -> when it asked, in seconds since 1970."""


def served(found: Served) -> None:
    """Note a module that was loaded."""
    _SERVED.append(found)


def handed_on(found: HandedOn) -> None:
    """Note where a module's uncovered calls go."""
    _HANDED_ON.append(found)


def left_to_aiter(fullname: str) -> None:
    """Note that AITER has to find ``fullname`` itself: a build may begin now."""
    _ASKED.setdefault(fullname, time.time())


def built(module: str, file: str | None, asked: float) -> None:
    """Note AITER's build ``file``, asked for at ``asked`` (since 1970), if it was made since."""
    seconds = _seconds(file, asked)
    if seconds is not None:
        _BUILT.append(Compiled(module=module, seconds=seconds))


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
        compiled=(*_compiled(), *_BUILT),
    )


def _compiled() -> list[Compiled]:
    found = []
    for fullname, asked in tuple(_ASKED.items()):  # other threads import meanwhile
        # A finished build is in sys.modules, from the file that it wrote.
        seconds = _seconds(getattr(sys.modules.get(fullname), "__file__", None), asked)
        if seconds is not None:
            found.append(Compiled(module=fullname.removeprefix(_PACKAGE), seconds=seconds))
    return found


def _seconds(file: str | None, asked: float) -> float | None:
    """How long after the question the file was finished; None where it was there before."""
    try:
        changed = Path(file or "").stat().st_mtime
    except OSError:
        return None
    return changed - asked if file and changed >= asked else None


_saying_in = 0
_said_in = 0
"""Processes by number: a forked one inherits both, and its parent's handlers or none of them."""


def say_at_exit() -> None:
    """Log the line when this process ends."""
    global _saying_in  # noqa: PLW0603  once a process
    if _saying_in != os.getpid():
        _saying_in = os.getpid()
        atexit.register(_say)
        workers = sys.modules.get("multiprocessing.process")
        if workers is not None and workers.parent_process() is not None:
            # A forked worker of multiprocessing ends without atexit (up to CPython 3.12).
            from multiprocessing.util import Finalize

            Finalize(None, _say, exitpriority=0)


def _say() -> None:
    global _said_in  # noqa: PLW0603  once a process
    if _said_in == os.getpid():
        return
    _said_in = os.getpid()
    before, logging.raiseExceptions = logging.raiseExceptions, False  # a closed stream: no line
    try:
        record.say(gather().line(), level=logging.INFO)
    finally:
        logging.raiseExceptions = before
