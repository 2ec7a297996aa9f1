"""Programs that write nothing, break a rule or are unknown: each makes a verdict, none raises."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from prebuild.gfx950.codeobject import CodeObject, Descriptor, Segment
from prebuild.gfx950.disassembly import parse_line
from prebuild.gfx950.errors import UnsupportedInstruction
from prebuild.gfx950.isa import build
from prebuild.gfx950.program import Program
from prebuild.verify import runner
from prebuild.verify.problems import make_problem
from prebuild.verify.subject import Subject


def program(*lines: str) -> Program:
    found = [parse_line(line, 4 * at, ["0"]) for at, line in enumerate(lines)]
    descriptor = Descriptor(
        symbol="kernel", entry=0, size=4 * len(found), lds_bytes=0, scratch_bytes=0,
        kernarg_bytes=256, vgprs=512, accum_offset=256, denormals_f32=0, denormals_f16_f64=3,
        user_sgprs=2, properties=8, workgroup_ids=(True, True, True), workitem_id_dims=0,
        preload_length=0, preload_offset=0,
    )  # fmt: skip
    segment = Segment(address=0, data=bytes(64), writable=False)
    return Program(
        descriptor=descriptor,
        operations=tuple(build(instruction) for instruction in found),
        index_of={instruction.address: at for at, instruction in enumerate(found)},
        code=CodeObject(sha256="", segments=(segment,), kernels={}, data=b""),
    )


def run(subject: Subject, *lines: str) -> runner.Run:
    batch = subject.batches[-1]
    return runner.run_problem(subject, program(*lines), make_problem(subject.facts.kind, batch))


def test_a_kernel_that_writes_nothing_is_wrong(subject: Subject) -> None:
    found = run(subject, "s_endpgm")
    assert found.judgement is not None
    assert found.judgement.undefined == found.judgement.elements > 0
    assert "elements are wrong" in found.failure
    assert "never written" in found.failure


def test_a_broken_rule_comes_with_a_trace_of_the_wave(subject: Subject) -> None:
    lines = ("s_load_dword s4, s[0:1], 0x0", "s_add_i32 s5, s4, 1", "s_endpgm")
    found = run(subject, *lines)
    assert found.judgement is None
    assert "s4 used" in found.failure
    assert "trace of workgroup (0, 0, 0) wave 0" in found.failure
    assert lines[0] in found.failure, "the instruction that led there is in the trace"


def test_the_first_wrong_problem_ends_the_run(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "load", lambda *_: program("s_endpgm"))
    verdict = runner.run_subject(subject, Path("objdump"))
    assert not verdict.ok
    assert verdict.problems == (subject.batches[0].name(),)
    assert verdict.opcodes["s_endpgm"] == verdict.waves > 0
    assert verdict.launch == "derived"


def test_code_that_cannot_be_translated_is_a_failure(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> Program:
        raise UnsupportedInstruction("v_unheard_of")

    monkeypatch.setattr(runner, "load", load)
    verdict = runner.run_subject(subject, Path("objdump"))
    assert not verdict.ok
    assert "v_unheard_of" in verdict.failure
    assert verdict.problems == ()


def test_a_wrong_launch_is_a_failure_though_the_kernel_is_right(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = dataclasses.replace(run(subject, "s_endpgm"), failure="")
    monkeypatch.setattr(runner, "load", lambda *_: program("s_endpgm"))
    monkeypatch.setattr(runner, "run_problem", lambda *_: good)
    assert runner.run_subject(subject, Path("objdump")).ok
    wrong = dataclasses.replace(subject, launch_problem="grid is wrong")
    verdict = runner.run_subject(wrong, Path("objdump"))
    assert not verdict.ok
    assert verdict.failure == "grid is wrong"


def test_a_kernel_that_nobody_launches_is_not_called_right(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "load", lambda *_: program("s_endpgm"))
    verdict = runner.run_subject(dataclasses.replace(subject, batches=()), Path("objdump"))
    assert not verdict.ok
    assert "launches it for no K" in verdict.failure
