"""Facts of code objects, kept beside them: an unchanged object is disassembled once.

The object cache is content-addressed, so an object never changes under its name; its size and its
time stamp are compared all the same, and a kept file that does not fit is made again.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from prebuild.core.whole import whole
from prebuild.inspect.codeobject import KernelFacts, kernel_facts
from prebuild.toolchain import Toolchain

_VERSION = 2  # of what kernel_facts finds: to be raised where that changes


def known_facts(code_object: Path, toolchain: Toolchain) -> KernelFacts:
    """Return :func:`kernel_facts`, from what was kept where there is something."""
    kept = code_object.with_suffix(".facts.json")
    stamp = _stamp(code_object)
    found = _read(kept, stamp)
    if found is None:
        found = kernel_facts(code_object, toolchain)
        with whole(kept) as scratch:
            scratch.write_text(json.dumps({"stamp": stamp, "facts": asdict(found)}))
    return found


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [_VERSION, status.st_size, status.st_mtime_ns]


def _read(kept: Path, stamp: list[int]) -> KernelFacts | None:
    try:
        raw = json.loads(kept.read_text())
        return KernelFacts(**raw["facts"]) if raw["stamp"] == stamp else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
