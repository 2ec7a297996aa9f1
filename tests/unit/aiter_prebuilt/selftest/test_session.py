"""Workers as lists of messages: no process is started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aiter_prebuilt.selftest import session
from aiter_prebuilt.selftest.problems import Case
from aiter_prebuilt.selftest.session import MissingError, probe, run_all
from aiter_prebuilt.selftest.worker import Task
from tests.unit.aiter_prebuilt.samples import instance, kernel, module
from tests.unit.aiter_prebuilt.selftest.kinds import features

TASK = Task(kind="plain", cases=(), seed=1, ways=("null stream",), timed=False, own_builds={})
DEVICE = {
    "event": "device", "index": 0, "name": "x", "arch": "gfx950", "memory_bytes": 1, "library": "",
    "runtime_version": 1, "driver_version": 1, "emulator": None,
}  # fmt: skip
GOOD = {
    "event": "done", "seconds": 0.5, "note": "", "timings": [],
    "launches": [
        {"way": "null stream", "elements": 4, "max_error": 0.5, "seconds": 0.1, "findings": []}
    ],
}  # fmt: skip


def cases(count: int) -> list[Case]:
    ones = [
        instance(f"k{i}", n_per_block=32, kernels=(kernel(main_loop=False, tail="odd"),))
        for i in range(count)
    ]
    made = module(features=features(), instances=tuple(ones))
    return [Case(module=made, instance=one, kernel=one.kernels[0]) for one in ones]


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a worker does at a kernel, by its name; workers that were started."""
    state: dict[str, Any] = {"started": []}

    class Worker:
        def __init__(self, task: Task) -> None:
            state["started"].append([name for _, name in task.cases])
            self.task = task

        def messages(self, timeout: float) -> Iterator[dict[str, Any]]:
            assert timeout == 9
            if "start" in state:
                raise state["start"]
            yield DEVICE
            for module_name, name in self.task.cases:
                yield {"event": "begin", "module": module_name, "kernel": name}
                does = state.get(name.partition(".")[0], GOOD)
                if isinstance(does, Exception):
                    raise does
                if does == "silence":
                    return
                yield does

    monkeypatch.setattr(session, "_Worker", Worker)
    return state


def verdicts(count: int, jobs: int = 1) -> list[tuple[str, str]]:
    seen: list[str] = []
    found = run_all(
        cases(count), TASK, jobs=jobs, timeout=9, on_done=lambda d: seen.append(d.result.kernel)
    )
    assert sorted(seen) == [one.result.kernel for one in found]
    return [(one.result.kernel.partition(".")[0], one.result.verdict) for one in found]


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_every_kernel_once_in_order(behaviour: dict[str, Any], jobs: int) -> None:
    assert verdicts(5, jobs) == [(f"k{i}", "right") for i in range(5)]
    assert len(behaviour["started"]) == min(jobs, 5)


@pytest.mark.parametrize(
    "dies", [session._DiedError("crash", "SIGABRT"), session._DiedError("hang", "9 s"), "silence"]
)
def test_a_worker_that_dies_costs_its_kernel_alone(behaviour: dict[str, Any], dies: Any) -> None:
    behaviour["k1"] = dies
    assert verdicts(4) == [("k0", "right"), ("k1", "wrong"), ("k2", "right"), ("k3", "right")]
    assert [len(names) for names in behaviour["started"]] == [4, 2]


def test_a_worker_that_does_not_start_proves_nothing(behaviour: dict[str, Any]) -> None:
    behaviour["start"] = session._DiedError("crash", "exit code 1")
    assert verdicts(2) == [("k0", "failed"), ("k1", "failed")]


def test_no_device(behaviour: dict[str, Any]) -> None:
    behaviour["k0"] = {"event": "missing", "reason": "no GPU"}
    with pytest.raises(MissingError, match="no GPU"):
        verdicts(2)


def test_probing(behaviour: dict[str, Any]) -> None:
    assert probe("plain", 9).arch == "gfx950"
    behaviour["start"] = session._DiedError("crash", "SIGSEGV")
    with pytest.raises(MissingError, match="ended badly: SIGSEGV"):
        probe("plain", 9)


@pytest.mark.parametrize(("number", "name"), [(11, "SIGSEGV"), (40, "signal 40")])
def test_the_name_of_a_signal(number: int, name: str) -> None:
    assert session._signal(number) == name
