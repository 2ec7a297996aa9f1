"""The Kimi wheel's own kernels on the executor, and mutants of one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core.settings import Settings
from prebuild.gfx950 import codeobject, disassembly
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.program import build_program
from prebuild.gfx950.wave import Wave
from prebuild.pipeline.kernels import run as verify_wheel
from prebuild.recording import Recorder
from prebuild.toolchain import Toolchain
from prebuild.verify import runner
from prebuild.verify.problems import make_problem
from prebuild.verify.source import collect
from prebuild.verify.subject import Subject
from prebuild.verify.verdict import into_manifest
from tests.integration.conftest import KimiWheel
from tests.integration.verify import mutations

pytestmark = pytest.mark.toolchain

KERNEL = "gemm2_256x32x128x128_v3 nomain_odd"
"""Four waves, LDS between them, a few hundred instructions: small enough to run many times."""
SAMPLE = 6
"""Mutants of each kind."""


@pytest.fixture(scope="module")
def subject(kimi: KimiWheel, recorder: Recorder) -> Subject:
    (found,) = [
        one
        for one in collect(kimi.unpacked, recorder).subjects
        if one.facts.name().startswith(KERNEL)
    ]
    return found


@pytest.fixture(scope="module")
def code(subject: Subject, toolchain: Toolchain) -> mutations.Code:
    text = disassembly.disassemble(subject.data, Path(toolchain.tool("llvm-objdump")))
    descriptor = codeobject.parse(subject.data).kernels[subject.symbol]
    end = descriptor.entry + descriptor.size
    return {a: one for a, one in disassembly.parse(text).items() if descriptor.entry <= a < end}


def failure(subject: Subject, code: mutations.Code) -> str:
    program = build_program(codeobject.parse(subject.data), code, subject.symbol)
    for batch in subject.batches:
        found = runner.run_problem(
            subject, program, make_problem(subject.facts.kind, batch)
        ).failure
        if found:
            return found
    return ""


def test_kernels_of_the_wheel_are_right(
    kimi: KimiWheel, tmp_path: Path, settings: Settings
) -> None:
    verdicts = verify_wheel(
        kimi.path, settings=settings, only="gemm2_256x32", failures=tmp_path, fresh=True
    )
    assert verdicts
    assert all(verdict.ok and verdict.launch == "module" for verdict in verdicts)
    assert all(verdict.unreached == 0 for verdict in verdicts)
    manifest = into_manifest(kimi.manifest, verdicts)
    kept = [
        kernel.verified
        for instance in manifest.modules[0].instances
        for kernel in instance.kernels
        if kernel.verified
    ]
    assert len(kept) == len(verdicts)


def test_the_unchanged_kernel_is_right(subject: Subject, code: mutations.Code) -> None:
    assert subject.launch_problem == ""
    assert failure(subject, code) == ""


@pytest.mark.parametrize(
    "kind",
    ["dropped barrier", "wrong scale select", "swapped A and B", "wrong offset", "wrong operation"],
)
def test_mutants_of_the_code_are_found(subject: Subject, code: mutations.Code, kind: str) -> None:
    every = [one for one in mutations.mutants(code) if one.kind == kind]
    chosen = every[:: max(1, len(every) // SAMPLE)]
    missed = [one for one in chosen if not failure(subject, mutations.apply(code, one))]
    assert chosen
    assert not missed, [f"{one.address:#x} {one.after.text}" for one in missed]


def effective_waits(subject: Subject, code: mutations.Code) -> set[tuple[int, str]]:
    """Return (address, counter) of each wait that had something to wait for."""
    found: set[tuple[int, str]] = set()

    def note(wave: Wave, one: Instruction) -> None:
        for counter, limit in one.modifiers.items() if one.mnemonic == "s_waitcnt" else ():
            outstanding = wave.vm if counter == "vmcnt" else wave.lgkm
            if len(outstanding) > int(limit):
                found.add((one.address, counter))

    program = build_program(codeobject.parse(subject.data), code, subject.symbol)
    for batch in subject.batches:
        _, machine = runner.make_machine(subject, program, make_problem(subject.facts.kind, batch))
        machine.trace = note
        machine.run()
    return found


def test_every_dropped_wait_that_mattered_is_found(subject: Subject, code: mutations.Code) -> None:
    """The others waited for nothing in any of the problems: an earlier wait had covered them."""
    every = [one for one in mutations.mutants(code) if one.kind == "dropped wait"]
    missed = [one for one in every if not failure(subject, mutations.apply(code, one))]
    effective = effective_waits(subject, code)
    dropped = {one: set(code[one.address].modifiers) - set(one.after.modifiers) for one in missed}
    unexcused = [
        (one.before, one.after.text)
        for one, counters in dropped.items()
        if any((one.address, counter) in effective for counter in counters)
    ]
    assert len(missed) < len(every) / 2
    assert not unexcused


@pytest.mark.parametrize("fault", mutations.FAULTS)
def test_faults_of_the_executor_are_found(
    subject: Subject, code: mutations.Code, fault: str
) -> None:
    with mutations.executor_fault(fault):
        assert failure(subject, code)
