"""`choose` never names a kernel for a call that the real module would refuse.

Any shape and setting of the Kimi wheel's module: what the manifest's table says against what the
compiled module does on the recording runtime, with a guard and without one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiter_prebuilt.call import Call as Asked
from aiter_prebuilt.call import Shape
from aiter_prebuilt.choice.dispatch import built_kernel, choose
from aiter_prebuilt.wheel.manifest import Module
from prebuild.recording import Call, Recorder
from tests.integration.calls import TOP_K, stage1, stage2
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain
BLOCK_MS = st.sampled_from((16, 32, 33, 64, 128, 256))
DIMS = st.one_of(
    st.integers(1, 64).map(lambda count: 32 * count),
    st.sampled_from((192, 256, 384, 512, 768, 1024, 1536, 2048, 7168)),
)


@st.composite
def batches(draw: st.DrawFn, module: Module) -> list[Asked]:
    """Some dozens of calls: one process makes them all."""
    assert module.features is not None
    names = st.sampled_from(("", "", "no_such_kernel", *(each.name for each in module.instances)))
    one = st.builds(
        Asked,
        features=st.just(module.features),
        shape=st.builds(
            Shape, model_dim=DIMS, inter_dim=DIMS, experts=st.just(384), topk=st.just(TOP_K)
        ),
        stage=st.sampled_from((1, 2)),
        tokens=st.integers(1, 5000),
        block_m=BLOCK_MS,
        kernel_name=names,
    )
    return draw(st.lists(one, min_size=30, max_size=60))


def expected(module: Module, asked: Asked) -> tuple[str, str | None]:
    """("launched", kernel), or what the module has to refuse the call for."""
    choice = choose(module.instances, asked)
    if choice.name_unknown:
        return "name", None
    if choice.instance is None:
        return "block_m", None
    if not choice.instance.kernels:
        return "instance", None
    if choice.variant is None:
        return "tile", None
    kernel = built_kernel(choice.instance, choice.variant)
    return ("kernel", None) if kernel is None else ("launched", kernel.symbol)


def call_of(asked: Asked, *, guarded: bool) -> Call:
    made: Any = stage1 if asked.stage == 1 else stage2
    call: Call = made(
        tokens=asked.tokens,
        inter_dim=asked.shape.inter_dim,
        model_dim=asked.shape.model_dim,
        block_m=asked.block_m,
        kernel=asked.kernel_name,
        uncovered=guarded,
    )
    return call


def test_the_module_launches_what_choose_names_and_hands_on_the_rest(
    recorder: Recorder, kimi: KimiWheel, tmp_path: Path
) -> None:
    (module,) = kimi.manifest.modules
    seen: set[str] = set()

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(batch=batches(module))
    def holds(batch: list[Asked]) -> None:
        calls = [call_of(asked, guarded=guarded) for asked in batch for guarded in (True, False)]
        recorded = recorder.record(kimi.name, kimi.module, calls, log=tmp_path / "launches")
        launched = iter(recorded.launches)
        for position, asked in enumerate(batch):
            guarded, alone = recorded.results[2 * position : 2 * position + 2]
            what, symbol = expected(module, asked)
            seen.add(what)
            if what == "launched":
                assert [next(launched).symbol for _ in range(2)] == [symbol] * 2, asked
            else:
                assert guarded["returned"][1] == what, asked
            if what == "name" and "raised" not in alone:
                next(launched)  # the heuristic's
            elif what != "launched":
                assert alone["raised"] in ("RuntimeError", "ValueError"), asked
        assert next(launched, None) is None

    holds()
    assert seen == {"launched", "name", "block_m", "instance", "tile", "kernel"}
