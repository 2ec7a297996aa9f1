"""Parts of documents that a command writes, between two comments."""

from __future__ import annotations

from collections.abc import Iterable

from prebuild.core.errors import PrebuildError


def between(page: str, mark: str, lines: Iterable[str]) -> str:
    """Return the page with ``lines`` between its marks.

    Raises :class:`PrebuildError` where it does not have both: the rest of the page would be lost.
    """
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    head, _, rest = page.partition(begin)
    _, there, tail = rest.partition(end)
    if not there:
        raise PrebuildError(f"the page has no {begin} with {end} behind it; put both back")
    return "\n".join([f"{head}{begin}", *lines, f"{end}{tail}"])
