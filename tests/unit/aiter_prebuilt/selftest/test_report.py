from __future__ import annotations

import json

import pytest

from aiter_prebuilt.selftest.device import DeviceFacts
from aiter_prebuilt.selftest.judge import Finding
from aiter_prebuilt.selftest.report import (
    KernelResult,
    LaunchResult,
    PassResult,
    Report,
    Timing,
    launch_json,
    launch_of,
    merged,
)


def launch(*codes: str, error: float | None = 0.5, way: str = "null stream") -> LaunchResult:
    findings = tuple(Finding(code=code, message=f"a {code}") for code in codes)
    return LaunchResult(way=way, elements=8, max_error=error, seconds=0.1, findings=findings)


def kernel(*launches: LaunchResult, name: str = "one", note: str = "") -> KernelResult:
    return KernelResult(
        module="m", kernel=name, symbol="s", stage=1, problem="p", launches=launches, seconds=1.0,
        note=note,
    )  # fmt: skip


def report(*kernels: KernelResult, state: str = "run") -> Report:
    device = DeviceFacts(
        index=0, name="MI350X", arch="gfx950", memory_bytes=1, library="l", runtime_version=1,
        driver_version=1, emulator=None,
    )  # fmt: skip
    ran = PassResult(name="plain", state=state, detail="")  # type: ignore[arg-type]
    timing = Timing(
        module="m", kernel="one", shape="s", recipe="r", microseconds=10.0, repeats=9,
        aiter_microseconds=20.0,
    )  # fmt: skip
    return Report(
        version="1", modules={"m": "0" * 64}, device=device, host={}, seed=1, seconds=2.0,
        passes=(ran,), kernels=kernels, timings=(timing,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("launches", "verdict"),
    [
        ((launch(), launch()), "right"),
        ((launch(), launch("value")), "wrong"),
        ((launch("hip"), launch("guard")), "wrong"),
        ((launch("hip"),), "failed"),
        ((launch("call"), launch()), "failed"),
        ((), "not run"),
    ],
)
def test_verdict(launches: tuple[LaunchResult, ...], verdict: str) -> None:
    assert kernel(*launches).verdict == verdict


@pytest.mark.parametrize("code", ["value", "nan", "left", "guard", "input", "unsteady", "early"])
def test_each_finding_is_wrong(code: str) -> None:
    assert kernel(launch(code)).verdict == "wrong"


def test_largest_error() -> None:
    assert kernel(launch(error=0.25), launch(error=0.75)).max_error == 0.75
    assert kernel(launch(error=0.25), launch(error=None)).max_error is None


def test_only_a_run_with_every_kernel_right_proves() -> None:
    assert report(kernel(launch())).proven
    assert not report(kernel(launch()), kernel(name="two")).proven
    assert not report(kernel(launch()), state="failed").proven
    assert not report().proven


def test_json_holds_all_and_is_strict() -> None:
    raw = report(kernel(launch("nan", error=None)), kernel(launch(), name="two")).to_json()
    back = json.loads(json.dumps(raw, allow_nan=False))
    assert back["report"] == 1
    assert back["verdicts"] == {"right": 1, "wrong": 1}
    assert back["elements"] == 16
    assert back["kernels"][0]["launches"][0]["findings"] == [{"code": "nan", "message": "a nan"}]
    assert back["kernels"][1]["verdict"] == "right"
    assert back["timings"][0]["ratio"] == 0.5


def test_a_launch_goes_through_json() -> None:
    one = launch("value", error=None)
    assert launch_of(json.loads(json.dumps(launch_json(one)))) == one


def test_passes_are_merged_by_kernel() -> None:
    first, second = kernel(launch()), kernel(launch(way="torch, null stream"), note="x")
    (found,) = merged([first, second])
    assert [one.way for one in found.launches] == ["null stream", "torch, null stream"]
    assert (found.seconds, found.note) == (2.0, "x")
