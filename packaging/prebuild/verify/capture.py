"""The launches that a module itself makes, recorded where there is no GPU.

So grid and arguments come from our own host code, and are compared with those that CK's device op
makes for the same problem (:func:`prebuild.verify.launches.launch`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.kinds import dtypes
from aiter_prebuilt.wheel.manifest import Module
from prebuild.core.contracts import Generation, find_contract
from prebuild.gfx950.launch import Launch
from prebuild.gfx950.memory import Allocation, Memory
from prebuild.recording import Call, LaunchRecord, Recorder
from prebuild.verify import launches
from prebuild.verify.problems import Batch, Kind, Problem, make_problem
from prebuild.verify.subject import Facts, Subject


def with_launches(
    module: Module,
    features: ModuleKey,
    path: Path,
    subjects: Sequence[Subject],
    recorder: Recorder,
) -> list[Subject]:
    """Return the subjects with the launch that ``module`` makes for each of their problems.

    A call that raises, launches nothing or another kernel, or with other arguments than CK's, puts
    that into ``launch_problem``.
    """
    names = {
        kernel.symbol: instance.name for instance in module.instances for kernel in instance.kernels
    }
    agreed = find_contract(module.contracts[0])
    asked = [(subject, batch) for subject in subjects for batch in subject.batches]
    placed = [place(subject.facts, batch) for subject, batch in asked]
    calls = [
        _call(agreed, features, subject.facts, names.get(subject.symbol, ""), problem, where)
        for (subject, _), (problem, where) in zip(asked, placed, strict=True)
    ]
    made: dict[str, Subject] = {subject.symbol: subject for subject in subjects}
    for (subject, batch), (problem, where), answer in zip(
        asked, placed, _record(module, path, calls, recorder), strict=True
    ):
        wanted = launches.launch(
            subject.symbol,
            subject.facts.tile,
            subject.facts.kind,
            batch,
            where,
            routed_weight=subject.facts.routed_weight,
        )
        cleared = launches.cleared(problem, where)
        made[subject.symbol] = _judge(made[subject.symbol], batch, answer, wanted, cleared)
    return list(made.values())


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one call did."""

    error: str
    launches: tuple[LaunchRecord, ...]


def _record(module: Module, path: Path, calls: Sequence[Call], recorder: Recorder) -> list[Answer]:
    """Make the calls in one process; where launches cannot be told apart, in one each."""
    with TemporaryDirectory() as scratch:
        recorded = recorder.record(
            module.name,
            path,
            calls,
            log=Path(scratch) / "launches",
            argument_bytes=max(launches.layout_of(kind).size for kind in Kind),
        )
    errors = [_error(result) for result in recorded.results]
    if len(calls) == 1:
        return [Answer(error=errors[0], launches=recorded.launches)]
    if len(recorded.launches) != errors.count(""):
        return [answer for call in calls for answer in _record(module, path, [call], recorder)]
    made = iter(recorded.launches)
    return [Answer(error=error, launches=() if error else (next(made),)) for error in errors]


def _error(result: Mapping[str, Any]) -> str:
    if "raised" in result:
        return f"the module raised {result['raised']}: {result['message']}"
    warned = "; ".join(result["warnings"])
    return f"the module warned: {warned}" if warned else ""


def place(facts: Facts, batch: Batch) -> tuple[Problem, launches.Placed]:
    """Return a problem and where it lies: the same addresses in every process."""
    problem = make_problem(facts.kind, batch)
    return problem, launches.place(Memory(), problem, preshuffled=facts.preshuffled)


def launch_of(record: LaunchRecord) -> Launch:
    """Return a recorded launch as the executor takes it."""
    return Launch(
        symbol=record.symbol,
        grid=record.grid,
        block=record.block,
        kernarg=record.arguments,
        dynamic_lds=record.shared,
    )


Cleared = tuple[int, int, int] | None
"""(address, bytes, value) of what is cleared before a launch."""


def _judge(
    subject: Subject, batch: Batch, answer: Answer, wanted: Launch, cleared: Cleared
) -> Subject:
    layout = launches.layout_of(subject.facts.kind)
    problem = answer.error or _problem(layout, answer.launches, wanted, cleared)
    if problem:
        return replace(subject, launch_problem=f"{batch.name()}: {problem}")
    launch = launch_of(answer.launches[0])
    return replace(subject, launches={**subject.launches, batch.name(): launch})


def _problem(
    layout: launches.Layout, made: Sequence[LaunchRecord], wanted: Launch, cleared: Cleared
) -> str:
    if len(made) != 1:
        return f"the module made {len(made)} launches, expected one"
    found = made[0]
    if found.symbol != wanted.symbol:
        return f"the module launched {found.symbol}, expected {wanted.symbol}"
    differences = [
        f"{name} {got}, expected {want}"
        for name, got, want in (
            ("grid", found.grid, wanted.grid),
            ("block", found.block, wanted.block),
            ("cleared", found.cleared, cleared),
            *_argument_differences(layout, found.arguments, wanted.kernarg),
        )
        if got != want
    ]
    return "; ".join(differences) and "launch differs from CK's: " + "; ".join(differences)


def _argument_differences(
    layout: launches.Layout, found: bytes, wanted: bytes
) -> list[tuple[str, int, int]]:
    got = struct.unpack_from(layout.format, found, launches.HEAD)
    want = struct.unpack_from(layout.format, wanted, launches.HEAD)
    return list(zip(layout.names, got, want, strict=True))


def _call(
    agreed: Generation,
    features: ModuleKey,
    facts: Facts,
    kernel_name: str,
    problem: Problem,
    placed: launches.Placed,
) -> Call:
    batch, routing = problem.batch, problem.routing
    split = batch.parts > 1
    out_rows = (batch.tokens, batch.topk) if batch.stage == 1 else (batch.tokens,)
    in_rows = (batch.tokens,) if batch.stage == 1 else (batch.tokens, batch.topk)
    elements = batch.gemm.k // 2 if problem.kind is Kind.MX_FP4 else batch.gemm.k
    packed = elements // 8 if problem.kind is Kind.INT4_ROW else elements
    weight_shape = (*problem.weights.shape[:2], packed)
    weights = _tensor(placed.b, dtypes()[features.b_dtype].torch, weight_shape)
    given = {
        "activations": _tensor(placed.a, dtypes()[features.a_dtype].torch, (*in_rows, elements)),
        "w1": weights,
        "w2": weights,
        "sorted_token_ids": _tensor(placed.sorted_ids, "int32", routing.sorted_ids.shape),
        "sorted_expert_ids": _tensor(placed.sorted_experts, "int32", routing.sorted_experts.shape),
        "num_valid_ids": _tensor(placed.valid, "int32", (2,)),
        # Since v0.1.12 AITER gives sums of a split K as many rows as there are sorted ones.
        "out": _tensor(placed.out, "float32", (batch.gemm.m, batch.columns))
        if split
        else _tensor(placed.out, dtypes()[features.c_dtype].torch, (*out_rows, batch.columns)),
        "top_k": batch.topk,
        "kernel_name": kernel_name,
        "weight_scale": _scale(placed.b_scale, problem.kind),
        "activation_scale": _scale(placed.a_scale, problem.kind),
        "block_m": batch.block_m,
        "sorted_weights": _tensor(placed.weights, "float32", routing.sorted_weights.shape)
        if facts.routed_weight
        else None,
        "quant_type": agreed.quants[features.quant],
        "activation": agreed.activations[features.activation],
        "split_k": batch.parts,
        "is_shuffled": features.preshuffle,
    }
    function = agreed.function(batch.stage)
    args = tuple(given.get(item.argument, item.value) for item in function.parameters)
    return Call(function=function.name, args=args)


def _tensor(allocation: Allocation, dtype: str, shape: tuple[int, ...]) -> dict[str, object]:
    return {"shape": list(shape), "dtype": dtype, "pointer": allocation.base, "device": 0}


def _scale(allocation: Allocation | None, kind: Kind) -> dict[str, object] | None:
    if allocation is None:
        return None
    width, dtype = (1, "float8_e8m0fnu") if kind is Kind.MX_FP4 else (4, "float32")
    return _tensor(allocation, dtype, (allocation.size // width,))
