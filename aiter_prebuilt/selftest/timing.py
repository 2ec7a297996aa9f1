"""Device time of a kernel by HIP events, at the shapes of the wheel's deployments.

Operands are random codes; every token goes to as many experts as the deployment says, at random.
The time is that of the kernel alone, with whatever its last launch left in the caches.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.machinery
import importlib.util
import math
import random
import statistics
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from aiter_prebuilt import call as moe
from aiter_prebuilt import generations
from aiter_prebuilt.choice import dispatch, routing
from aiter_prebuilt.choice.heuristic import padded_counts
from aiter_prebuilt.selftest.calls import Call, make_call
from aiter_prebuilt.selftest.content import Content, Repeated
from aiter_prebuilt.selftest.device import DeviceFacts, Hip
from aiter_prebuilt.selftest.formats import FORMATS, stream
from aiter_prebuilt.selftest.judge import before
from aiter_prebuilt.selftest.problems import (
    Case,
    Operand,
    Problem,
    describe,
    features_of,
    make_problem,
)
from aiter_prebuilt.selftest.report import Timing
from aiter_prebuilt.selftest.run import Bench
from aiter_prebuilt.selftest.scales import MX_BLOCK, SCALES, Scales, scale_grid
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import Deployment

WARM_UP, REPEATS = 10, 100
_EMULATED = (1, 3)
"""The same under an emulator, where a time says nothing."""
_BLOCK = 1 << 22
_ROOM = 0.8
"""Part of the device's memory that one call may fill."""
_SLOT_SHIFT = 24
EMULATED = "emulated: times mean nothing"


@value_class(frozen=True, kw_only=True)
class Sized:
    """A call of a deployment that takes a kernel."""

    deployment: Deployment
    call: moe.Call

    def text(self) -> str:
        """Return its numbers for people."""
        shape, gemm = self.call.shape, self.call.gemm
        return (
            f"tokens={self.call.tokens} n={gemm.n} k={gemm.k} experts={shape.experts}"
            f" topk={shape.topk}"
        )


def sizes_of(case: Case, deployments: Iterable[Deployment]) -> list[Sized]:
    """Return the calls of deployments that take this kernel: the fewest and the most tokens."""
    found: list[Sized] = []
    seen: set[moe.Shape] = set()
    for deployment in deployments:
        if _unsplit(deployment.features) != _unsplit(case.module.features):
            continue
        if deployment.shape in seen:
            continue
        seen.add(deployment.shape)
        tiers = generations.load().newest.tiers
        counts = padded_counts(deployment.tokens_min, deployment.tokens_max, tiers)
        own = [call for tokens in counts for call in _calls(case, deployment, tokens)]
        ends = own[:1] + own[1:][-1:]
        found += [Sized(deployment=deployment, call=call) for call in ends]
    return found


def _unsplit(features: moe.ModuleKey | None) -> moe.ModuleKey | None:
    """What a deployment says of a module: AITER decides from call to call whether K is split."""
    return features and dataclasses.replace(features, splitk=False)


def _calls(case: Case, deployment: Deployment, tokens: int) -> Iterator[moe.Call]:
    """Yield the call of a batch that takes this kernel, by AITER's heuristic."""
    variant = (case.kernel.main_loop, case.kernel.tail)
    calls = routing.heuristic_calls(deployment.features, deployment.shape, (tokens, tokens))
    for call in calls:
        if call.stage == case.instance.stage and call.features == case.module.features:
            choice = dispatch.choose(case.module.instances, call)
            if choice.instance == case.instance and choice.variant == variant:
                yield call


def measure(
    case: Case,
    bench: Bench,
    device: DeviceFacts,
    deployments: Iterable[Deployment],
    own_build: Path | None,
) -> list[Timing]:
    """Return the times of a kernel, beside those of AITER's ``own_build`` where there is one."""
    other = None if own_build is None else load_build(case.module.stock_name, own_build)
    if device.emulator is not None:
        label = Label(case=case, shape=describe(case), recipe="", note=EMULATED)
        problem = make_problem(case, seed=1)
        return [_timed(label, problem, before(problem), bench, other, _EMULATED)]
    timings = []
    for sized in sizes_of(case, deployments):
        recipe = f"{sized.deployment.recipe} tp={sized.deployment.tp}"
        label = Label(case=case, shape=sized.text(), recipe=recipe, note="")
        if (size := bytes_of(case, sized.call)) > _ROOM * device.memory_bytes:
            timings.append(label.with_note(f"not measured: {size / 1e9:.1f} GB do not fit"))
            continue
        problem = large_problem(case, sized.call)
        out = Repeated(bytes(_BLOCK), problem.out.width * math.prod(problem.out_shape))
        timings.append(_timed(label, problem, out, bench, other, (WARM_UP, REPEATS)))
    nothing = Label(case=case, shape="", recipe="", note="")
    return timings or [nothing.with_note("no deployment of the wheel reaches it")]


@value_class(frozen=True, kw_only=True)
class Label:
    """What a timing is of."""

    case: Case
    shape: str
    recipe: str
    note: str

    def with_times(self, repeats: int, own: float, other: float | None) -> Timing:
        """Return the timing, in microseconds."""
        return Timing(
            module=self.case.module.name,
            kernel=self.case.name,
            shape=self.shape,
            recipe=self.recipe,
            microseconds=own,
            repeats=repeats,
            aiter_microseconds=other,
            note=self.note,
        )

    def with_note(self, note: str) -> Timing:
        """Return a timing of nothing, and why."""
        return Timing(
            module=self.case.module.name,
            kernel=self.case.name,
            shape=self.shape,
            recipe=self.recipe,
            microseconds=None,
            repeats=0,
            aiter_microseconds=None,
            note=note,
        )


def _timed(
    label: Label,
    problem: Problem,
    out: Content,
    bench: Bench,
    other: ModuleType | None,
    counts: tuple[int, int],
) -> Timing:
    call = make_call(problem, out, bench.tensors)
    own = median(call, bench.functions, bench.runtime, counts)
    beside = None if other is None else median(call, other, bench.runtime, counts)
    bench.tensors.release()
    return label.with_times(counts[1], own, beside)


def median(call: Call, functions: Any, runtime: Hip, counts: tuple[int, int]) -> float:  # noqa: ANN401
    """Return the median device time of a launch on the null stream, in microseconds."""
    function = getattr(functions, call.function)
    warm_up, repeats = counts
    for _ in range(warm_up):
        function(*call.arguments)
    times = []
    with runtime.events() as (first, last):
        for _ in range(repeats):
            first.record(0)
            function(*call.arguments)
            last.record(0)
            times.append(last.microseconds_since(first))
    return round(statistics.median(times), 3)


def load_build(stock_name: str, path: Path) -> ModuleType:
    """Load the module that AITER's JIT built; it stays out of ``sys.modules``."""
    loader = importlib.machinery.ExtensionFileLoader(stock_name, str(path))
    spec = importlib.machinery.ModuleSpec(stock_name, loader, origin=str(path))
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def bytes_of(case: Case, call: moe.Call) -> int:
    """Return about how much memory a call takes: weights, activations and output."""
    features, gemm = features_of(case), call.gemm
    slots = call.tokens * call.shape.topk
    weights = call.shape.experts * gemm.n * gemm.k * FORMATS[features.b_dtype].bits // 8
    of_row = gemm.k * FORMATS[features.a_dtype].bits // 8
    if call.stage == 1:
        of_value = 8 if features.splitk else 2  # gate and up in float32, or one value of two bytes
        return 2 * weights + call.tokens * of_row + of_value * slots * gemm.n
    return weights + slots * of_row + 2 * call.tokens * gemm.n


def large_problem(case: Case, call: moe.Call) -> Problem:
    """Return a call of a deployment's size; nothing is known of what it gives."""
    features, shape, gemm = features_of(case), call.shape, call.gemm
    ids, experts = _sorting(call)
    rows = call.tokens * (1 if call.stage == 1 else shape.topk)
    leading = (call.tokens,) if call.stage == 1 else (call.tokens, shape.topk)
    each = (2 if call.stage == 1 else 1) * gemm.n
    # The scales of MX activations stand in the order of the sorted rows, in tiles of 32.
    scaled = -(-len(ids) // 32) * 32 if SCALES[features.quant] == "mx" else rows
    a_rows = _Rows(rows=scaled, group=rows, k=gemm.k, weight=False)
    w_rows = _Rows(rows=shape.experts * each, group=each, k=gemm.k, weight=True)
    return Problem(
        features=features,
        stage=call.stage,
        tokens=call.tokens,
        topk=shape.topk,
        n=gemm.n,
        k=gemm.k,
        block_m=call.block_m,
        kernel_name=case.instance.name,
        activations=_large(features.a_dtype, (*leading, gemm.k), _scales(features, a_rows)),
        weights=_large(features.b_dtype, (shape.experts, each, gemm.k), _scales(features, w_rows)),
        routing=(),
        routed_weights=(),
        sorted_ids=struct.pack(f"<{len(ids)}i", *ids),
        sorted_weights=struct.pack("<f", 0.125) * len(ids),
        sorted_experts=struct.pack(f"<{len(experts)}i", *experts),
        valid=struct.pack("<2i", len(experts) * call.block_m, call.tokens),
        parts=call.parts,
    )


def _sorting(call: moe.Call) -> tuple[list[int], list[int]]:
    """Sorted rows and the expert of each block, every token with ``topk`` experts at random."""
    shape, draw = call.shape, random.Random(1)  # noqa: S311  a routing, no secret
    rows: list[list[int]] = [[] for _ in range(shape.experts)]
    for token in range(call.tokens):
        for slot, expert in enumerate(draw.sample(range(shape.experts), shape.topk)):
            rows[expert].append(slot << _SLOT_SHIFT | token)
    padding = shape.topk << _SLOT_SHIFT | call.tokens
    ids: list[int] = []
    experts: list[int] = []
    for expert, own in enumerate(rows):
        blocks = -(-len(own) // call.block_m)
        ids += own + [padding] * (blocks * call.block_m - len(own))
        experts += [expert] * blocks
    size = shape.sorted_rows(call.tokens, call.block_m)
    return ids + [padding] * (size - len(ids)), experts


def _large(dtype: str, shape: tuple[int, ...], scales: Scales | None) -> Operand:
    form, k = FORMATS[dtype], shape[-1]
    values = math.prod(shape)
    stored = values // 2 if dtype == "i4" else values * form.bits // 8
    elements = {"fp4x2": k // 2, "i4": k // 8}.get(dtype, k)
    return Operand(
        format=dtype,
        rows=(),
        data=Repeated(_codes(dtype), stored),
        shape=(*shape[:-1], elements),
        scales=scales,
    )


@functools.cache
def _codes(dtype: str) -> bytes:
    raw = stream(1, f"timing/{dtype}", _BLOCK)
    return raw if dtype == "i4" else FORMATS[dtype].draw(raw, 0.5)  # packed: two values a byte


@value_class(frozen=True, kw_only=True)
class _Rows:
    """Rows that have scales; ``group`` of them are one expert's, or one tensor's."""

    rows: int
    group: int
    k: int
    weight: bool


def _scales(features: moe.ModuleKey, of: _Rows) -> Scales | None:
    """Scales of about 2**-6, as many as there have to be."""
    kind = SCALES[features.quant]
    if kind == "none":
        return None
    if kind == "mx":
        data = Repeated(_powers(), of.rows * of.k // MX_BLOCK)
        return Scales(data=data, torch="float8_e8m0fnu", factors=(), block=MX_BLOCK)
    grid = scale_grid(kind, rows=of.rows, group=of.group, k=of.k, weight=of.weight)
    data = Repeated(struct.pack("<f", 2.0**-6) * (_BLOCK // 4), 4 * grid.count)
    return Scales(data=data, torch="float32", factors=(), block=grid.block)


@functools.cache
def _powers() -> bytes:
    return stream(1, "timing/mx", _BLOCK).translate(bytes(118 + b % 7 for b in range(256)))
