"""Whether a module can be served on a host: a pure function of manifest and host facts.

A reason has a code for machines and a sentence for people.  All reasons are given, not only the
first, so that one look shows everything that is in the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from aiter_prebuilt.host.aiter import AiterFacts, Parameter, parse_signature
from aiter_prebuilt.host.facts import HostFacts
from aiter_prebuilt.host.gpu import GpuFacts, counted
from aiter_prebuilt.host.hip import HipFacts
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.elf import version
from aiter_prebuilt.wheel.manifest import Contract, Harvest, Module


@value_class(frozen=True, kw_only=True)
class Verdict:
    """Accepted where ``reasons`` is empty."""

    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    contract: str | None = None
    """The name of the contract that fits; None where none does, or for a harvested module."""

    @property
    def accepted(self) -> bool:
        """Whether the module may be served."""
        return not self.reasons


def match(
    module: Module, contracts: Mapping[str, Contract], host: HostFacts, known: Mapping[str, str]
) -> Verdict:
    """Judge ``module`` on ``host``.

    ``contracts`` are those that the module meets, by name: one of them has to be AITER's.
    ``known`` maps fingerprints of AITER's CK2stages sources to the newest release that has them.
    """
    agreed, disagreed = agree(contracts, host.aiter)
    reasons = [
        *_python(module, host),
        *_glibc(module, host),
        *judge_gpu(module.gfx_targets, host.gpu),
        *judge_hip(module.needed, host.hip),
        *disagreed,
    ]
    if module.harvest is not None:
        return Verdict(reasons=(*reasons, *_harvest(module.harvest, host)), notes=())
    notes = tuple(_notes(host.aiter, known))
    return Verdict(reasons=tuple(reasons), notes=notes, contract=agreed)


def _harvest(bound: Harvest, host: HostFacts) -> Iterator[Reason]:
    """A harvested module is bound to what it was compiled with, to the last byte."""
    python = ".".join(map(str, host.python))
    if bound.cpython not in (None, python):
        message = f"the module was compiled for CPython {bound.cpython}, this is {python}"
        yield Reason(code="python", message=message)
    if bound.torch is not None and version(host.torch or "") != version(bound.torch):
        message = f"the module is linked to torch {bound.torch}, installed is {host.torch}"
        yield Reason(code="torch", message=message)
    if host.aiter is None:
        return
    if host.aiter.version != bound.aiter_version:
        message = f"AITER is {host.aiter.version}, the module was built by {bound.aiter_version}"
        yield Reason(code="aiter-sources", message=message)
    elif host.aiter_sources != bound.aiter_sources:
        message = f"AITER's sources in {host.aiter.csrc} are not those the module was built from"
        yield Reason(code="aiter-sources", message=message)


def hip_runtime(needed: tuple[str, ...]) -> str | None:
    """Return the SONAME of the HIP runtime among a module's needs."""
    return next((name for name in needed if name.startswith("libamdhip64.so")), None)


def judge_gpu(targets: tuple[str, ...], found: GpuFacts) -> Iterator[Reason]:
    """Every GPU that this process could use has to be one of the module's targets."""
    if not targets:
        return  # host code only
    wanted = ", ".join(targets)
    others = sorted(set(found.targets) - set(targets))
    if not found.targets:
        yield Reason(code="gpu-none", message=f"no AMD GPU was found, the module is for {wanted}")
    elif others and len(others) < len(set(found.targets)):
        yield Reason(
            code="gpu-mixed",
            message=f"GPUs are {counted(found.targets)} (by {found.source}), the module is for "
            f"{wanted} only",
        )
    elif others:
        yield Reason(
            code="gpu-other",
            message=f"GPU is {', '.join(others)} (by {found.source}), the module is for {wanted}",
        )


def judge_hip(needed: tuple[str, ...], found: HipFacts) -> Iterator[Reason]:
    """Exactly one HIP runtime, of the SONAME that the module needs."""
    wanted = hip_runtime(needed)
    if wanted is None:
        return
    if len(found.mapped) > 1:
        paths = ", ".join(copy.path for copy in found.mapped)
        yield Reason(code="hip-two", message=f"two HIP runtimes are mapped: {paths}")
    elif found.mapped and found.mapped[0].soname != wanted:
        yield Reason(
            code="hip-other",
            message=f"{found.mapped[0].path} is mapped, its SONAME is {found.mapped[0].soname}, "
            f"the module needs {wanted}",
        )
    elif not found.mapped and not found.torch_pending and not _fits(found, wanted):
        yield Reason(
            code="hip-missing",
            message=f"{wanted} is not mapped and the linker's path has {_candidate(found)}; import "
            "torch first, or install ROCm 7",
        )


def _fits(found: HipFacts, wanted: str) -> bool:
    return found.candidate is not None and found.candidate.soname == wanted


def _candidate(found: HipFacts) -> str:
    if found.candidate is None:
        return "none"
    return f"{found.candidate.path} of SONAME {found.candidate.soname}"


def _python(module: Module, host: HostFacts) -> Iterator[Reason]:
    floor = version(module.cpython_floor)
    found = ".".join(map(str, host.python))
    if host.implementation != "cpython" or host.free_threaded or host.python < floor:
        build = " without the GIL" if host.free_threaded else ""
        yield Reason(
            code="python",
            message=f"interpreter is {host.implementation} {found}{build}, the module needs "
            f"CPython {module.cpython_floor} or newer with the GIL",
        )


def _glibc(module: Module, host: HostFacts) -> Iterator[Reason]:
    if host.glibc is None or host.glibc < version(module.glibc_floor):
        found = "no glibc" if host.glibc is None else "glibc " + ".".join(map(str, host.glibc))
        yield Reason(code="glibc", message=f"host has {found}, needed {module.glibc_floor}")


def agree(
    contracts: Mapping[str, Contract], found: AiterFacts | None
) -> tuple[str | None, list[Reason]]:
    """Return the first contract that is AITER's; where none is, how AITER differs from each."""
    if found is None:
        return None, [Reason(code="aiter-missing", message="no aiter package is installed")]
    if found.problems:
        return None, [Reason(code="aiter-unreadable", message="; ".join(found.problems))]
    every: list[Reason] = []
    for name, contract in contracts.items():
        here = list(differences(contract, found))
        if not here:
            return name, []
        suffix = f" (contract {name})" if len(contracts) > 1 else ""
        every += [Reason(code=r.code, message=r.message + suffix) for r in here]
    return None, every


def differences(agreed: Contract, found: AiterFacts) -> Iterator[Reason]:
    """How AITER's stubs and enums differ from what a contract says."""
    for name, line in agreed.signatures.items():
        difference = _difference(line, agreed.aliases, found.signatures.get(name))
        if difference:
            yield Reason(code="aiter-signature", message=f"{name} of {found.root}: {difference}")
    for label, wanted, values in (
        ("QuantType", agreed.quant_types, found.quant_types),
        ("ActivationType", agreed.activation_types, found.activation_types),
    ):
        found_values = {name.lower(): value for name, value in values.items()}
        for name, value in wanted.items():  # AITER's module names have these in lower case
            if found_values.get(name.lower()) != value:
                message = f"{label}.{name} is {found_values.get(name.lower())}"
                yield Reason(code="aiter-enum", message=f"{message}, the module has {value}")


def _difference(line: str, aliases: Mapping[str, str], found: tuple[Parameter, ...] | None) -> str:
    if found is None:
        return "is not defined"
    try:
        wanted = parse_signature(line)
    except (ValueError, TypeError) as error:
        return f"the manifest's signature cannot be read: {error}"
    if len(wanted) != len(found):
        return f"has {len(found)} parameters, the module {len(wanted)}"
    for position, (mine, theirs) in enumerate(zip(wanted, found, strict=True), start=1):
        names = {aliases.get(parameter.name, parameter.name) for parameter in (mine, theirs)}
        if len(names) > 1 or replace(theirs, name=mine.name) != mine:
            return f"parameter {position} is {_show(theirs)}, the module has {_show(mine)}"
    return ""


def _show(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f" = {parameter.default}"
    return f"{parameter.name}: {parameter.hint}{default}"


def _notes(found: AiterFacts | None, known: Mapping[str, str]) -> Iterator[Reason]:
    if found is not None and not found.problems and found.fingerprint not in known:
        yield Reason(
            code="aiter-unknown",
            message=f"AITER {found.version or '(unknown version)'} has CK2stages sources that were "
            "not checked with this wheel; the signatures fit, so the module is served",
        )
