"""The problems of ``aiter-prebuilt selftest`` on the executor, and the bits that a device reported.

A device's report holds a digest of each output; the executor runs the same operands (they come from
the report's seed), so that equal digests say that every bit is equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.selftest.content import Content, whole
from aiter_prebuilt.selftest.judge import Judgement, before, judge
from aiter_prebuilt.selftest.problems import EXPERTS, Case, Problem, make_problem
from aiter_prebuilt.selftest.reference import expect
from aiter_prebuilt.selftest.report import SCHEMA
from prebuild.core.errors import PrebuildError, why
from prebuild.gfx950.errors import ExecutorError
from prebuild.gfx950.machine import Machine
from prebuild.gfx950.memory import Allocation, Memory
from prebuild.verify import launches
from prebuild.verify.problems import U8, Batch
from prebuild.verify.runner import load
from prebuild.verify.subject import Subject

State = Literal["same", "other bits", "not reported", "failed"]


class DeviceReportError(PrebuildError):
    """A file is no report of ``aiter-prebuilt selftest --json``, or one of another wheel."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class DeviceReport:
    """What a device said of the kernels of a wheel."""

    name: str
    """Of the device."""
    seed: int
    modules: Mapping[str, str]
    """Module -> sha256 of its file."""
    outputs: Mapping[tuple[str, str], tuple[str, ...]]
    """Module and kernel -> digest of the output of each launch that had one."""
    verdicts: Mapping[tuple[str, str], str]
    """Of each kernel that was asked for, those that did not run among them."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One kernel of one module on the executor and on the device."""

    module: str
    kernel: str
    operands: str
    """Activation, weight and output dtype, and the quantisation."""
    elements: int
    state: State
    max_error: float
    """The executor's largest error as a share of its bound."""
    device: str
    """The device's own verdict."""
    failure: str = ""
    """What is wrong on the executor, empty where nothing is."""


def read_report(path: Path) -> DeviceReport:
    """Read a report; raises :class:`DeviceReportError`."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["report"] != SCHEMA:
            raise DeviceReportError(
                f"{path} is a report of schema {raw['report']!r}, expected {SCHEMA}"
            )
        return _report(raw)
    # Overflow: a seed of Infinity; recursion: brackets without end.
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
    ) as error:  # fmt: skip
        said = f"no field {error}" if isinstance(error, KeyError) else why(error)
        raise DeviceReportError(
            f"{path}: {said}; expected what aiter-prebuilt selftest --json prints"
        ) from error


def _report(raw: Mapping[str, Any]) -> DeviceReport:
    kernels = {(one["module"], one["kernel"]): one for one in raw["kernels"]}
    return DeviceReport(
        name=str(raw["device"]["name"]),
        seed=int(raw["seed"]),
        modules={name: str(sha256) for name, sha256 in raw["package"]["modules"].items()},
        outputs={
            key: tuple(
                launch["output_sha256"] for launch in one["launches"] if launch.get("output_sha256")
            )
            for key, one in kernels.items()
        },
        verdicts={key: str(one["verdict"]) for key, one in kernels.items()},
    )


def execute(case: Case, subject: Subject, objdump: Path, seed: int) -> tuple[bytes, Judgement]:
    """Run a kernel on its problem of ``selftest``; return its output, and whether it is right.

    Raises :class:`ExecutorError`.
    """
    problem = make_problem(case, seed)
    placed, memory = _place(problem)
    launch = launches.launch(
        subject.symbol,
        subject.facts.tile,
        subject.facts.kind,
        _batch(problem),
        placed,
        routed_weight=problem.multiplies,
    )
    Machine(load(subject, objdump), memory, launch).run()
    out = placed.out.data[: placed.out.size].tobytes()
    return out, judge(problem, expect(problem), out)


def beside(case: Case, subject: Subject, objdump: Path, report: DeviceReport) -> Beside:
    """Run a kernel on the executor and compare its output with the device's; never raises.

    Where the device reported no output there is nothing to compare, and nothing is run.
    """
    key = (case.module.name, case.name)
    features = case.module.features
    reported = set(report.outputs.get(key, ()))
    failure, elements, error = "", 0, 0.0
    state: State = "failed" if reported else "not reported"
    if reported:
        try:
            out, judged = execute(case, subject, objdump, report.seed)
        except ExecutorError as raised:
            failure = str(raised)
        else:
            state = "same" if reported == {hashlib.sha256(out).hexdigest()} else "other bits"
            elements, error = judged.elements, judged.max_error
            failure = "; ".join(finding.message for finding in judged.findings)
    return Beside(
        module=key[0],
        kernel=key[1],
        operands="" if features is None else _operands(features),
        elements=elements,
        state=state,
        max_error=error,
        device=report.verdicts.get(key, "not run"),
        failure=failure,
    )


def _operands(features: ModuleKey) -> str:
    return f"{features.a_dtype} {features.b_dtype} {features.c_dtype} {features.quant}"


def _array(data: Content) -> U8:
    return np.frombuffer(bytearray(whole(data)), np.uint8)


def _place(problem: Problem) -> tuple[launches.Placed, Memory]:
    """Put the selftest's own bytes into the executor's memory."""
    memory = Memory()

    def put(name: str, data: Content) -> Allocation:
        return memory.allocate(name, _array(data))

    a, w = problem.activations, problem.weights
    return launches.Placed(
        sorted_ids=put("ids", problem.sorted_ids),
        sorted_experts=put("experts", problem.sorted_experts),
        valid=put("valid", problem.valid),
        a=put("a", a.data),
        a_scale=put("a_scale", a.scales.data) if a.scales else None,
        b=put("w", w.data),
        b_scale=put("w_scale", w.scales.data) if w.scales else None,
        weights=put("weights", problem.sorted_weights),
        out=memory.allocate("out", _array(_cleared(problem)), writable=True),
    ), memory


def _cleared(problem: Problem) -> bytes:
    """Return what a kernel finds in its output: a split K's caller clears it on the way."""
    held = before(problem)
    return bytes(len(held)) if problem.splits else held


def _batch(problem: Problem) -> Batch:
    """Return the numbers of a problem as the build side has them."""
    return Batch.of(
        stage=problem.stage,
        tokens=problem.tokens,
        topk=problem.topk,
        experts=EXPERTS,
        n=problem.n,
        k=problem.k,
        block_m=problem.block_m,
        parts=problem.parts,
    )
