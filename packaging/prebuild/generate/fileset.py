"""Write generated sources: one function, and only where the content changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath


def write(sources: Mapping[PurePosixPath, str], directory: Path) -> tuple[Path, ...]:
    """Write ``sources`` below ``directory``, remove what an earlier plan left there.

    A file with the same content keeps its time, so that nothing is rebuilt for it.  Only folders
    that this plan owns (the first component of its paths) are cleaned.  Returns what was written.
    """
    written = []
    for relative, text in sources.items():
        path = directory / relative
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    wanted = {directory / relative for relative in sources}
    for owned in sorted({relative.parts[0] for relative in sources}):
        for path in (directory / owned).rglob("*"):
            if path.is_file() and path not in wanted:
                path.unlink()
    return tuple(written)
