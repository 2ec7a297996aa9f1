"""The launches that a module itself makes, recorded where there is no GPU.

So grid and arguments come from our own host code, and are compared with those that CK's device op
makes for the same problem (``mxmoe.launch``).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiter_prebuilt.manifest import Module, ModuleKey
from prebuild.gfx950.launch import Launch
from prebuild.gfx950.memory import Allocation, Memory
from prebuild.recording import Call, LaunchRecord, Recorder
from prebuild.verify import mxmoe
from prebuild.verify.problems import Fp4Problem, Shape, fp4_problem
from prebuild.verify.subject import Facts, Subject, shapes

_DTYPES = {"fp4x2": "float4_e2m1fn_x2", "b16": "bfloat16", "f16": "float16"}
_QUANTS = {"no": 0, "per_tensor": 1, "per_token": 2, "per_1x32": 3, "per_1x128": 4}
_ACTIVATIONS = {"silu": 0, "gelu": 1, "swiglu": 2}
_HEAD = 16
"""Bytes of CK's Argument before ``Problem``: two host pointers that no kernel reads."""
_FIELDS = (
    "NumTokens", "TopK", "M", "N", "K", "StrideA", "StrideScaleA", "StrideB", "StrideScaleB",
    "StrideD0", "StrideD1", "StrideD2", "StrideC", "KBatch", "MPadded", "NPadded", "KRead",
    "KPadded", "AK0", "BK0", "MBlock", "NBlock", "p_sorted_token_ids", "p_sorted_expert_ids",
    "p_max_token_id", "p_a", "p_a_scale", "p_b", "p_b_scale", "p_d0", "p_d1", "p_d2", "p_c",
)  # fmt: skip
_LAYOUT = "<22i11Q"


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
    asked = [(subject, shape) for subject in subjects for shape in shapes(subject.facts)]
    placed = [place(shape) for _, shape in asked]
    calls = [
        _call(features, subject.facts, names.get(subject.symbol, ""), problem, where)
        for (subject, _), (problem, where) in zip(asked, placed, strict=True)
    ]
    made: dict[str, Subject] = {subject.symbol: subject for subject in subjects}
    for (subject, shape), (problem, where), answer in zip(
        asked, placed, _record(module, path, calls, recorder), strict=True
    ):
        wanted = mxmoe.launch(subject.symbol, tile_of(subject.facts), problem, where)
        made[subject.symbol] = _judge(made[subject.symbol], shape, answer, wanted)
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
            argument_bytes=mxmoe.ARGUMENT_BYTES,
        )
    errors = [_error(result) for result in recorded.results]
    if len(calls) == 1:
        return [Answer(error=errors[0], launches=recorded.launches)]
    if len(recorded.launches) != errors.count(""):
        return [answer for call in calls for answer in _record(module, path, [call], recorder)]
    launches = iter(recorded.launches)
    return [Answer(error=error, launches=() if error else (next(launches),)) for error in errors]


def _error(result: Mapping[str, Any]) -> str:
    if "raised" in result:
        return f"the module raised {result['raised']}: {result['message']}"
    warned = "; ".join(result["warnings"])
    return f"the module warned: {warned}" if warned else ""


def place(shape: Shape) -> tuple[Fp4Problem, mxmoe.Placed]:
    """Return a problem and where it lies: the same addresses in every process."""
    problem = fp4_problem(shape)
    return problem, mxmoe.place(Memory(), problem)


def tile_of(facts: Facts) -> mxmoe.Tile:
    """Return what a launch depends on."""
    return mxmoe.Tile(block_size=facts.block_size, m=facts.m, n=facts.n, k_bytes=facts.k)


def _judge(subject: Subject, shape: Shape, answer: Answer, wanted: Launch) -> Subject:
    problem = answer.error or _problem(answer.launches, wanted)
    if problem:
        return replace(subject, launch_problem=f"{shape.name()}: {problem}")
    record = answer.launches[0]
    launch = Launch(
        symbol=record.symbol,
        grid=record.grid,
        block=record.block,
        kernarg=record.arguments,
        dynamic_lds=record.shared,
    )
    return replace(subject, launches={**subject.launches, shape.name(): launch})


def _problem(launches: Sequence[LaunchRecord], wanted: Launch) -> str:
    if len(launches) != 1:
        return f"the module made {len(launches)} launches, expected one"
    found = launches[0]
    if found.symbol != wanted.symbol:
        return f"the module launched {found.symbol}, expected {wanted.symbol}"
    differences = [
        f"{name} {got}, expected {want}"
        for name, got, want in (
            ("grid", found.grid, wanted.grid),
            ("block", found.block, wanted.block),
            *_argument_differences(found.arguments, wanted.kernarg),
        )
        if got != want
    ]
    return "; ".join(differences) and "launch differs from CK's: " + "; ".join(differences)


def _argument_differences(found: bytes, wanted: bytes) -> list[tuple[str, int, int]]:
    got = struct.unpack_from(_LAYOUT, found, _HEAD)
    want = struct.unpack_from(_LAYOUT, wanted, _HEAD)
    return [
        (name, one, other)
        for name, one, other in zip(_FIELDS, got, want, strict=True)
        # CK gives the routed weights of a stage that does not multiply or leaves them null.
        if name != "p_d2" or one != 0
    ]


def _call(
    features: ModuleKey,
    facts: Facts,
    kernel_name: str,
    problem: Fp4Problem,
    placed: mxmoe.Placed,
) -> Call:
    def tensor(allocation: Allocation, dtype: str, *shape: int) -> dict[str, object]:
        return {"shape": list(shape), "dtype": dtype, "pointer": allocation.base, "device": 0}

    shape, routing = problem.shape, problem.routing
    out_rows = (shape.tokens, shape.topk) if shape.stage == 1 else (shape.tokens,)
    in_rows = (shape.tokens,) if shape.stage == 1 else (shape.tokens, shape.topk)
    weights = tensor(placed.b, _DTYPES[features.b_dtype], *problem.weights.shape)
    args = (
        tensor(placed.a, _DTYPES[features.a_dtype], *in_rows, shape.k // 2),
        weights,
        weights,
        tensor(placed.sorted_ids, "int32", routing.sorted_ids.size),
        tensor(placed.sorted_experts, "int32", routing.sorted_experts.size),
        tensor(placed.valid, "int32", 2),
        tensor(placed.out, _DTYPES[features.c_dtype], *out_rows, shape.n),
        shape.topk,
        kernel_name,
        tensor(placed.b_scale, "float8_e8m0fnu", *problem.weight_scales.shape),
        tensor(placed.a_scale, "float8_e8m0fnu", routing.sorted_ids.size, shape.k // 32),
        shape.block_m,
        tensor(placed.weights, "float32", routing.sorted_weights.size)
        if facts.routed_weight
        else None,
        _QUANTS[features.quant],
        _ACTIVATIONS[features.activation],
        1,
        False,
        None,
        features.preshuffle,
    )
    return Call(function=f"ck_moe_stage{shape.stage}", args=args)
