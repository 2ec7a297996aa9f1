"""Runs one kernel on its problems and judges what it wrote."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

from prebuild.gfx950 import EXECUTOR_VERSION, codeobject, disassembly
from prebuild.gfx950.disassembly import Instruction
from prebuild.gfx950.errors import ExecutorError
from prebuild.gfx950.machine import Execution, Group, Machine
from prebuild.gfx950.memory import Memory
from prebuild.gfx950.program import Program, build_program
from prebuild.gfx950.wave import Wave
from prebuild.verify import launches
from prebuild.verify.judge import Judgement, judge_sums, judge_values
from prebuild.verify.problems import Batch, Problem, make_problem
from prebuild.verify.reference import Expected, expect, expect_parts
from prebuild.verify.subject import Facts, Subject
from prebuild.verify.verdict import Verdict

_TRACE = 120


@dataclass(frozen=True, kw_only=True)
class Run:
    """One problem, run and judged."""

    batch: Batch
    execution: Execution
    judgement: Judgement | None
    failure: str


def run_subject(subject: Subject, objdump: Path) -> Verdict:
    """Run every problem of a kernel; a wrong or failing one makes the verdict, it never raises."""
    began = time.monotonic()
    runs: list[Run] = []
    failure = subject.launch_problem
    if not subject.batches:
        failure = "it was not run: CK launches it for no K"
    try:
        program = load(subject, objdump)
        for batch in subject.batches:
            runs.append(run_problem(subject, program, make_problem(subject.facts.kind, batch)))
            if runs[-1].failure:
                break
    except ExecutorError as error:
        failure = str(error)
    return _verdict(subject, runs, failure, time.monotonic() - began)


def load(subject: Subject, objdump: Path) -> Program:
    """Disassemble and translate a kernel; raises where an instruction has no semantics."""
    code = codeobject.parse(subject.data)
    instructions = disassembly.parse(disassembly.disassemble(subject.data, objdump))
    return build_program(code, instructions, subject.symbol)


def run_problem(subject: Subject, program: Program, problem: Problem) -> Run:
    """Run one problem; a failure comes with a trace of the wave that went wrong."""
    facts = subject.facts
    placed, machine = make_machine(subject, program, problem)
    try:
        execution = machine.run()
    except ExecutorError as error:
        trace = _trace(subject, program, problem, *_place_of(machine))
        return Run(
            batch=problem.batch,
            execution=machine.execution,
            judgement=None,
            failure=f"{problem.batch.name()}: {error}\n{trace}",
        )
    judge = judge_values if facts.stage == 1 and not facts.split_k else judge_sums
    judgement = judge(placed.out, _expected(facts, problem), facts.out)
    failure = ""
    if judgement.first is not None:
        failure = _describe(problem.batch, judgement, execution)
        if judgement.first.writer >= 0:
            group, wave = execution.writers[judgement.first.writer]
            failure += "\n" + _trace(subject, program, problem, group, wave)
    return Run(batch=problem.batch, execution=execution, judgement=judgement, failure=failure)


def _expected(facts: Facts, problem: Problem) -> Expected:
    if facts.split_k:
        return expect_parts(problem, routed_weight=facts.routed_weight)
    return expect(
        problem,
        routed_weight=facts.routed_weight,
        activation=facts.activation,
        out=facts.out,
    )


def make_machine(
    subject: Subject, program: Program, problem: Problem
) -> tuple[launches.Placed, Machine]:
    """Return a machine with the problem in its memory, and where it lies."""
    facts = subject.facts
    memory = Memory()
    placed = launches.place(memory, problem, preshuffled=facts.preshuffled)
    launch = subject.launches.get(problem.batch.name()) or launches.launch(
        subject.symbol,
        facts.tile,
        facts.kind,
        problem.batch,
        placed,
        routed_weight=facts.routed_weight,
    )
    return placed, Machine(program, memory, launch)


def _place_of(machine: Machine) -> tuple[Group, int]:
    writers = machine.execution.writers
    return writers[-1] if writers else ((0, 0, 0), 0)


def _describe(batch: Batch, judgement: Judgement, execution: Execution) -> str:
    first = judgement.first
    if first is None:
        return ""
    what = "undefined" if first.undefined else f"{first.found!r}"
    writer = "never written"
    if first.writer >= 0:
        group, wave = execution.writers[first.writer]
        writer = f"last written by workgroup {group} wave {wave}"
    return (
        f"{batch.name()}: {judgement.wrong} of {judgement.elements} elements are wrong"
        f" ({judgement.undefined} undefined); the first is {first.where} {first.index}: {what},"
        f" expected {first.expected!r} within {first.bound:.3g}; {writer}"
    )


def _trace(subject: Subject, program: Program, problem: Problem, group: Group, number: int) -> str:
    """Run one workgroup again and return the last instructions of one of its waves."""
    _, machine = make_machine(subject, program, problem)
    recent: deque[str] = deque(maxlen=_TRACE)

    def note(wave: Wave, found: Instruction) -> None:
        if wave.number == number:
            recent.append(f"{found.address:#x} exec={wave.exec:016x} {found.text}")

    machine.trace = note
    try:
        machine.run([group])
    except ExecutorError as error:
        recent.append(str(error))
    return f"trace of workgroup {group} wave {number}, its end:\n  " + "\n  ".join(recent)


def _verdict(subject: Subject, runs: list[Run], failure: str, seconds: float) -> Verdict:
    opcodes: Counter[str] = Counter()
    for run in runs:
        opcodes.update(run.execution.executed)
    judged = [run.judgement for run in runs if run.judgement is not None]
    unreached = [set(run.execution.unreached) for run in runs]
    failure = failure or next((run.failure for run in runs if run.failure), "")
    return Verdict(
        symbol=subject.symbol,
        kernel=subject.facts.name(),
        code_object=subject.sha256,
        executor=EXECUTOR_VERSION,
        ok=not failure,
        problems=tuple(run.batch.name() for run in runs),
        launch="module" if subject.launches else "derived",
        instructions=sum(run.execution.instructions for run in runs),
        waves=sum(run.execution.waves for run in runs),
        elements=sum(judgement.elements for judgement in judged),
        max_error=max((judgement.ratio for judgement in judged), default=0.0),
        unreached=len(set.intersection(*unreached)) if unreached else 0,
        opcodes=dict(sorted(opcodes.items())),
        seconds=round(seconds, 2),
        failure=failure,
    )
