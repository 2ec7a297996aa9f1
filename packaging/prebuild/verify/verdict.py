"""The verdict on one kernel: what was run, how far it was off, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One kernel, all of its problems."""

    symbol: str
    kernel: str
    """Short name of the kernel."""
    code_object: str
    """sha256."""
    executor: str
    ok: bool
    problems: tuple[str, ...]
    launch: str
    """``module``: as the module itself launches it; ``derived``: as CK's device op would."""
    instructions: int
    """Executed, of all waves."""
    waves: int
    elements: int
    max_error: float
    """Over its bound: 1 is the most that the derivation allows."""
    unreached: int
    """Instructions of the kernel that no problem reached."""
    opcodes: Mapping[str, int]
    """Mnemonic -> times executed."""
    seconds: float
    failure: str = ""
    """What is wrong, in full; empty where nothing is."""
    cached: bool = False

    def manifest(self) -> dict[str, Any]:
        """Return what the manifest keeps of it (``Kernel.verified``)."""
        return {
            "executor": self.executor,
            "problems": list(self.problems),
            "launch": self.launch,
            "elements": self.elements,
            "instructions": self.instructions,
            "max_error_over_bound": round(self.max_error, 4),
        }

    def to_json(self) -> dict[str, Any]:
        """Return every field; :meth:`from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Verdict:
        """Read what :meth:`to_json` wrote."""
        return cls(**{**raw, "problems": tuple(raw["problems"])})

    def from_cache(self) -> Verdict:
        """Return the same verdict, marked as not run now."""
        return replace(self, cached=True)
