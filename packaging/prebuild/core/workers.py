"""Calls spread over processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")


def spread(calls: Iterable[Callable[[], T]], jobs: int | None = None) -> Generator[T]:
    """Make the calls in ``jobs`` processes (default: one a core); yield results as they come.

    A call and its result are pickled.  Where the caller stops early, or is interrupted, the calls
    that have not begun are dropped, and those that have are waited for: callers close it.
    """
    # Not forked: the progress bar is a thread of this process.
    with ProcessPoolExecutor(
        max_workers=jobs or os.cpu_count() or 1, mp_context=get_context("spawn")
    ) as pool:
        waiting = [pool.submit(call) for call in calls]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
