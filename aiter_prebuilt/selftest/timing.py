"""Device time of a kernel by HIP events, at the shapes of the wheel's deployments.

Operands are random codes; every token goes to as many experts as the deployment says, at random.
The time is that of the kernel alone, with whatever its last launch left in the caches.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import math
import random
import statistics
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from aiter_prebuilt.choice import dispatch
from aiter_prebuilt.selftest.calls import Call, make_call
from aiter_prebuilt.selftest.content import Content, Repeated
from aiter_prebuilt.selftest.device import DeviceFacts, Hip
from aiter_prebuilt.selftest.formats import FORMATS, stream
from aiter_prebuilt.selftest.judge import before
from aiter_prebuilt.selftest.problems import (
    MX_BLOCK,
    SCALES,
    Case,
    Operand,
    Problem,
    Scales,
    describe,
    features_of,
    make_problem,
    scale_grid,
)
from aiter_prebuilt.selftest.report import Timing
from aiter_prebuilt.selftest.run import Bench
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import Deployment, ModuleKey

WARM_UP, REPEATS = 10, 100
_EMULATED = (1, 3)
"""The same under an emulator, where a time says nothing."""
_BLOCK = 1 << 22
_ROOM = 0.8
"""Part of the device's memory that one call may fill."""
_SLOT_SHIFT = 24
EMULATED = "emulated: times mean nothing"


@value_class(frozen=True, kw_only=True)
class Shape:
    """A call of a deployment that takes a kernel."""

    deployment: Deployment
    tokens: int
    n: int
    k: int

    def text(self) -> str:
        """Return its numbers for people."""
        of = self.deployment
        return f"tokens={self.tokens} n={self.n} k={self.k} experts={of.experts} topk={of.topk}"


def shapes_of(case: Case, deployments: Iterable[Deployment]) -> list[Shape]:
    """Return the calls of deployments that take this kernel: the fewest and the most tokens."""
    found: dict[tuple[int, int, int, int], list[Shape]] = {}
    for deployment in deployments:
        if deployment.features != case.module.features:
            continue
        dims = (deployment.inter_dim, deployment.model_dim)
        n, k = dims if case.instance.stage == 1 else reversed(dims)
        for tokens in tiers(deployment):
            if _takes(case, deployment, tokens, k):
                shape = Shape(deployment=deployment, tokens=tokens, n=n, k=k)
                found.setdefault((n, k, deployment.experts, deployment.topk), []).append(shape)
    return [shape for own in found.values() for shape in {id(s): s for s in _ends(own)}.values()]


def _ends(shapes: Sequence[Shape]) -> tuple[Shape, Shape]:
    ordered = sorted(shapes, key=lambda shape: shape.tokens)
    return ordered[0], ordered[-1]


def tiers(deployment: Deployment) -> list[int]:
    """Return the token counts at which AITER's choice changes."""
    counts = {deployment.tokens_min, deployment.tokens_max}
    counts |= {1 << bits for bits in range(deployment.tokens_max.bit_length())}
    return sorted(c for c in counts if deployment.tokens_min <= c <= deployment.tokens_max)


def _takes(case: Case, deployment: Deployment, tokens: int, k: int) -> bool:
    inter_dim = deployment.inter_dim
    block_m = dispatch.choose_block_m(
        deployment.features.quant, tokens, deployment.topk, deployment.experts, inter_dim
    )
    stage = case.instance.stage
    chosen = dispatch.select_instance(case.module.instances, stage, block_m, inter_dim)
    return chosen == case.instance and dispatch.select_kernel(chosen, k) == case.kernel


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
    for shape in shapes_of(case, deployments):
        recipe = f"{shape.deployment.recipe} tp={shape.deployment.tp}"
        label = Label(case=case, shape=shape.text(), recipe=recipe, note="")
        if (size := bytes_of(case, shape)) > _ROOM * device.memory_bytes:
            timings.append(label.with_note(f"not measured: {size / 1e9:.1f} GB do not fit"))
            continue
        problem = large_problem(case, shape)
        out = Repeated(bytes(_BLOCK), 2 * math.prod(problem.out_shape))
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
    call = make_call(problem, out, bench.contract, bench.tensors)
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


def bytes_of(case: Case, shape: Shape) -> int:
    """Return about how much memory a call takes: weights, activations and output."""
    features, of = features_of(case), shape.deployment
    weights = of.experts * shape.n * shape.k * FORMATS[features.b_dtype].bits // 8
    slots = shape.tokens * of.topk
    if case.instance.stage == 1:
        return (
            2 * weights
            + shape.tokens * shape.k * FORMATS[features.a_dtype].bits // 8
            + (2 * slots * shape.n)
        )
    return (
        weights
        + slots * shape.k * FORMATS[features.a_dtype].bits // 8
        + (2 * shape.tokens * shape.n)
    )


def large_problem(case: Case, shape: Shape) -> Problem:
    """Return a call of a deployment's size; nothing is known of what it gives."""
    features, of = features_of(case), shape.deployment
    stage, block_m = case.instance.stage, case.instance.block_m
    ids, experts = _sorting(shape, block_m)
    rows = shape.tokens * (1 if stage == 1 else of.topk)
    leading = (shape.tokens,) if stage == 1 else (shape.tokens, of.topk)
    each = (2 if stage == 1 else 1) * shape.n
    mx = SCALES[features.quant] == "mx"
    # The scales of MX activations stand in the order of the sorted rows, in tiles of 32.
    a_rows = _Rows(
        rows=-(-len(ids) // 32) * 32 if mx else rows, group=rows, k=shape.k, weight=False
    )
    w_rows = _Rows(rows=of.experts * each, group=each, k=shape.k, weight=True)
    return Problem(
        features=features,
        stage=stage,
        tokens=shape.tokens,
        topk=of.topk,
        n=shape.n,
        k=shape.k,
        block_m=block_m,
        kernel_name=case.instance.name,
        activations=_large(features.a_dtype, (*leading, shape.k), _scales(features, a_rows)),
        weights=_large(features.b_dtype, (of.experts, each, shape.k), _scales(features, w_rows)),
        routing=(),
        routed_weights=(),
        sorted_ids=struct.pack(f"<{len(ids)}i", *ids),
        sorted_weights=struct.pack("<f", 0.125) * len(ids),
        sorted_experts=struct.pack(f"<{len(experts)}i", *experts),
        valid=struct.pack("<2i", len(experts) * block_m, shape.tokens),
    )


def _sorting(shape: Shape, block_m: int) -> tuple[list[int], list[int]]:
    """Sorted rows and the expert of each block, every token with ``topk`` experts at random."""
    of, draw = shape.deployment, random.Random(1)  # noqa: S311  a routing, no secret
    rows: list[list[int]] = [[] for _ in range(of.experts)]
    for token in range(shape.tokens):
        for slot, expert in enumerate(draw.sample(range(of.experts), of.topk)):
            rows[expert].append(slot << _SLOT_SHIFT | token)
    padding = of.topk << _SLOT_SHIFT | shape.tokens
    ids: list[int] = []
    experts: list[int] = []
    for expert, own in enumerate(rows):
        blocks = -(-len(own) // block_m)
        ids += own + [padding] * (blocks * block_m - len(own))
        experts += [expert] * blocks
    size = shape.tokens * of.topk + of.experts * block_m - of.topk
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


def _scales(features: ModuleKey, of: _Rows) -> Scales | None:
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
