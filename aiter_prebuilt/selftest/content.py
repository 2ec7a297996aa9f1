"""What a buffer holds: plain bytes, or a block over and over where all of it is too much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union


class Repeated:
    """``size`` bytes: ``block`` from its start, again and again."""

    def __init__(self, block: bytes, size: int) -> None:
        self.block, self.size = block, size

    def __len__(self) -> int:
        return self.size


Content = Union[bytes, Repeated]  # noqa: UP007  CPython 3.10 evaluates it


def pieces(content: Content) -> Iterator[tuple[int, bytes]]:
    """Yield the content in order, each piece with its offset."""
    if isinstance(content, bytes):
        yield 0, content
        return
    for at in range(0, content.size, len(content.block)):
        yield at, content.block[: content.size - at]


def whole(content: Content) -> bytes:
    """Return all of it."""
    return b"".join(piece for _, piece in pieces(content))
