"""What ``selftest`` found, as values: the JSON report is made of them and of nothing else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aiter_prebuilt.selftest.device import DeviceFacts
from aiter_prebuilt.selftest.judge import Finding
from aiter_prebuilt.values import value_class

SCHEMA = 1
"""Of the report; raised by one whenever a reader of the old one would misread the new one."""

Verdict = Literal["right", "wrong", "failed", "not run"]
WRONG = frozenset({"value", "nan", "left", "guard", "input", "unsteady", "early", "crash", "hang"})
"""Findings that mean that a kernel does what it must not; others mean that it was not proven."""


@value_class(frozen=True, kw_only=True)
class LaunchResult:
    """One launch and what is wrong with what it left; no findings: nothing."""

    way: str
    elements: int
    max_error: float | None
    """Largest error over its bound; None where an element is no number, or nothing ran."""
    seconds: float
    """From the call until the device was idle: of the host, with a kernel's first-use costs."""
    findings: tuple[Finding, ...]
    output_sha256: str = ""
    """Of all bytes of the output, so that two devices can be compared; empty where none came."""


@value_class(frozen=True, kw_only=True)
class KernelResult:
    """One kernel of one module."""

    module: str
    kernel: str
    """AITER's name of the instance and which of its kernels: ``….main_even``."""
    symbol: str
    stage: int
    problem: str
    launches: tuple[LaunchResult, ...]
    seconds: float
    """All of it: problem, reference, launches, comparing."""
    note: str = ""
    """Why it was not run."""

    @property
    def verdict(self) -> Verdict:
        """``wrong``: bad numbers or bad behaviour; ``failed``: it could not be made to run."""
        codes = {finding.code for launch in self.launches for finding in launch.findings}
        if codes & WRONG:
            return "wrong"
        if codes:
            return "failed"
        return "right" if self.launches else "not run"

    @property
    def max_error(self) -> float | None:
        """The largest of its launches, None where one has none."""
        errors = [launch.max_error for launch in self.launches]
        known = [error for error in errors if error is not None]
        return max(known) if known and len(known) == len(errors) else None


@value_class(frozen=True, kw_only=True)
class PassResult:
    """One way of making tensors and calls, for all kernels."""

    name: str
    """``plain``, ``torch``, ``aiter``."""
    state: Literal["run", "skipped", "failed"]
    detail: str


@value_class(frozen=True, kw_only=True)
class Timing:
    """Device time of one kernel at one shape."""

    module: str
    kernel: str
    shape: str
    recipe: str
    microseconds: float | None
    """Median of ``repeats`` launches, by HIP events; None where it was not to be had."""
    repeats: int
    aiter_microseconds: float | None
    """The same call of the module that AITER's JIT built; None where there is none."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over AITER's: below one is faster."""
        if not self.microseconds or not self.aiter_microseconds:
            return None
        return self.microseconds / self.aiter_microseconds


@value_class(frozen=True, kw_only=True)
class Report:
    """All of one run."""

    version: str
    """Of this package."""
    modules: Mapping[str, str]
    """Module -> sha256 of its file."""
    device: DeviceFacts
    host: Mapping[str, str]
    """Python, kernel and driver versions."""
    seed: int
    seconds: float
    passes: tuple[PassResult, ...]
    kernels: tuple[KernelResult, ...]
    timings: tuple[Timing, ...] = ()

    @property
    def verdicts(self) -> dict[str, int]:
        """Verdict -> number of kernels."""
        return dict(sorted(Counter(kernel.verdict for kernel in self.kernels).items()))

    @property
    def proven(self) -> bool:
        """Whether every kernel that was asked for ran and is right."""
        return set(self.verdicts) == {"right"} and all(one.state != "failed" for one in self.passes)

    def to_json(self) -> dict[str, Any]:
        """Return the report for a machine."""
        return {
            "report": SCHEMA,
            "package": {"version": self.version, "modules": dict(self.modules)},
            "device": vars(self.device),
            "host": dict(self.host),
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "passes": [vars(one) for one in self.passes],
            "verdicts": self.verdicts,
            "proven": self.proven,
            "elements": sum(launch.elements for one in self.kernels for launch in one.launches),
            "kernels": [_kernel(one) for one in self.kernels],
            "timings": [{**vars(one), "ratio": one.ratio} for one in self.timings],
        }


def _kernel(result: KernelResult) -> dict[str, Any]:
    launches = [launch_json(launch) for launch in result.launches]
    return {
        **vars(result),
        "launches": launches,
        "verdict": result.verdict,
        "max_error": result.max_error,
    }


def launch_json(launch: LaunchResult) -> dict[str, Any]:
    """Return a launch as JSON values; :func:`launch_of` reads it."""
    return {**vars(launch), "findings": [vars(finding) for finding in launch.findings]}


def launch_of(raw: Mapping[str, Any]) -> LaunchResult:
    """Read what :func:`launch_json` made."""
    findings = tuple(Finding(**finding) for finding in raw["findings"])
    return LaunchResult(**{**raw, "findings": findings})


def merged(results: Sequence[KernelResult]) -> tuple[KernelResult, ...]:
    """Return one result a kernel: the launches of all passes together, in order."""
    found: dict[tuple[str, str], KernelResult] = {}
    for result in results:
        key = (result.module, result.kernel)
        first = found.get(key)
        if first is None:
            found[key] = result
            continue
        found[key] = KernelResult(
            **{
                **vars(first),
                "launches": first.launches + result.launches,
                "seconds": round(math.fsum((first.seconds, result.seconds)), 3),
                "note": "; ".join(filter(None, (first.note, result.note))),
            }
        )
    return tuple(found.values())
