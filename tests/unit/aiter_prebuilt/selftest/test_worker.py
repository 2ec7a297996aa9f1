"""A worker's one task, in this process: the runtime and the modules are stand-ins."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.selftest import worker
from aiter_prebuilt.selftest.device import DeviceFacts, HipError
from aiter_prebuilt.selftest.problems import make_problem
from aiter_prebuilt.selftest.reference import expect
from aiter_prebuilt.selftest.worker import NoPassError, Task, work
from aiter_prebuilt.wheel import store
from tests.unit.aiter_prebuilt import samples
from tests.unit.aiter_prebuilt.selftest.fakes import FakeFunctions, FakeHip
from tests.unit.aiter_prebuilt.selftest.kinds import as_bf16, case, features

CASE = case()
DEVICE = DeviceFacts(
    index=0, name="x", arch="gfx950", memory_bytes=1, library="", runtime_version=1,
    driver_version=1, emulator="librocjitsu.so",
)  # fmt: skip


def task(**changes: Any) -> Task:
    values: dict[str, Any] = {
        "kind": "plain",
        "cases": ((CASE.module.name, CASE.name),),
        "seed": 1,
        "ways": ("null stream",),
        "timed": False,
        "own_builds": {},
    }
    return Task(**{**values, **changes})


class Said(list[dict[str, Any]]):
    def __call__(self, event: str, **fields: Any) -> None:
        self.append({"event": event, **fields})

    @property
    def events(self) -> list[str]:
        return [one["event"] for one in self]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeHip:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "torch._C", raising=False)
    made = FakeHip()
    manifest = samples.manifest(CASE.module)
    shelf = store.Shelf(folder=Path("site"), manifest=manifest, reason=None)
    monkeypatch.setattr(store, "read_all", lambda: (shelf,))
    monkeypatch.setattr(worker.device, "load", lambda _soname, _path: made)
    monkeypatch.setattr(worker.device, "find", lambda _runtime: DEVICE)
    return made


@pytest.fixture
def functions(runtime: FakeHip, monkeypatch: pytest.MonkeyPatch) -> FakeFunctions:
    made = FakeFunctions(runtime, as_bf16(expect(make_problem(CASE, 1)).values))
    monkeypatch.setattr(worker.Modules, "functions", lambda _self, _name: made)
    return made


@pytest.mark.usefixtures("functions")
def test_a_case_is_announced_and_reported() -> None:
    said = Said()
    work(task(), said)
    assert said.events == ["device", "begin", "done"]
    (launch,) = said[2]["launches"]
    assert (launch["way"], launch["findings"]) == ("null stream", [])


@pytest.mark.usefixtures("runtime")
def test_a_probe_runs_nothing() -> None:
    said = Said()
    work(task(cases=()), said)
    assert said.events == ["device"]


def test_after_an_error_of_hip_nothing_more_is_run(
    runtime: FakeHip, functions: FakeFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert functions
    monkeypatch.setattr(runtime, "synchronize", _raise(HipError("x", 700, "bad")))
    said = Said()
    work(task(cases=((CASE.module.name, CASE.name),) * 2), said)
    assert said.events == ["device", "begin", "done"]
    assert said[2]["launches"][0]["findings"][0]["code"] == "hip"


def _raise(error: Exception) -> Any:
    def run(*_args: object) -> None:
        raise error

    return run


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("error", [BinaryError("sha256", "changed"), ImportError("no symbol")])
def test_a_module_that_cannot_be_loaded(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.Modules, "functions", _raise(error))
    said = Said()
    work(task(), said)
    (finding,) = said[2]["launches"][0]["findings"]
    assert finding == {"code": "load", "message": f"the module cannot be loaded: {error}"}


@pytest.mark.usefixtures("functions")
def test_a_kernel_without_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    other = case(features(splitk=True))
    shelf = store.Shelf(folder=Path("s"), manifest=samples.manifest(other.module), reason=None)
    monkeypatch.setattr(store, "read_all", lambda: (shelf,))
    said = Said()
    work(task(), said)
    assert said[2]["launches"] == []
    assert "split K" in said[2]["note"]


@pytest.mark.usefixtures("functions")
def test_timing_under_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.timing, "median", lambda *_: 7.0)
    said = Said()
    work(task(timed=True), said)
    (timing,) = said[2]["timings"]
    assert (timing["microseconds"], timing["note"]) == (7.0, "emulated: times mean nothing")


@pytest.mark.usefixtures("runtime")
def test_a_torch_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        @staticmethod
        def is_available() -> bool:
            return False

    class Torch:
        __version__ = "2.13"
        cuda = Cuda

    monkeypatch.setitem(sys.modules, "torch", Torch)  # type: ignore[arg-type]
    with pytest.raises(NoPassError, match=r"torch 2.13 has no GPU"):
        work(task(kind="torch"), Said())
