"""The verdict on one kernel: what was run, how far it was off, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiter_prebuilt.wheel.manifest import Instance, Manifest


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


def into_manifest(manifest: Manifest, verdicts: Sequence[Verdict]) -> Manifest:
    """Return the manifest with each kernel's verdict in ``Kernel.verified``.

    A kernel without a good verdict keeps None: it was not verified.
    """
    good = {verdict.symbol: verdict.manifest() for verdict in verdicts if verdict.ok}

    def with_verdicts(instance: Instance) -> Instance:
        kernels = tuple(
            replace(kernel, verified=good.get(kernel.symbol)) for kernel in instance.kernels
        )
        return replace(instance, kernels=kernels)

    modules = tuple(
        replace(module, instances=tuple(with_verdicts(one) for one in module.instances))
        for module in manifest.modules
    )
    return replace(manifest, modules=modules)
