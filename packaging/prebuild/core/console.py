"""What a person sees while a build runs: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from aiter_prebuilt.choice.dispatch import short_name
from prebuild.core.model import OnDone

if TYPE_CHECKING:
    from rich.progress import Progress

# A log or a pipe has no width of its own; tables shall not be folded there.
_LOG_WIDTH = 140
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
err = Console(
    stderr=True,
    soft_wrap=True,
    highlight=False,
    width=None if sys.stderr.isatty() else _LOG_WIDTH,
)


def say(text: str, to: Console) -> None:
    """Print plain text: broken between words on a terminal, in whole lines in a log."""
    to.print(text, markup=False, soft_wrap=not to.is_terminal)


@contextmanager
def progress(label: str) -> Iterator[OnDone]:
    """Yield the callback that shows each finished step (a compile, a kernel that was run)."""
    if err.is_terminal:
        with _bar() as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total, unit: bar.update(
                task, completed=done, total=total, description=short_name(unit)
            )
    else:
        began = time.monotonic()
        yield lambda done, total, unit: _line(began, done, total, unit)


def _bar() -> Progress:
    # Here and not above: most commands, and most builds of a log, draw no bar.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=err, transient=True)


def _line(began: float, done: int, total: int, unit: str) -> None:
    seconds = time.monotonic() - began
    sys.stderr.write(f"[{done}/{total}] {seconds:6.1f} s  {short_name(unit)}\n")
    sys.stderr.flush()
