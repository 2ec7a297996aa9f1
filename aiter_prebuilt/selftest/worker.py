"""Runs in a process of its own, so that a fault of a GPU ends no more than that.

Reads one JSON object from stdin (see :class:`Task`), writes one JSON object a line: ``device`` or
``missing`` first, then ``begin`` and ``done`` for each kernel.  What libraries print goes to
stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from aiter_prebuilt import settings
from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host.match import hip_runtime
from aiter_prebuilt.selftest import device, run, timing
from aiter_prebuilt.selftest.cases import cases_of
from aiter_prebuilt.selftest.judge import Finding
from aiter_prebuilt.selftest.problems import Case, NoProblemError
from aiter_prebuilt.selftest.report import LaunchResult, launch_json
from aiter_prebuilt.selftest.tensors import PlainTensors, Tensors, TorchTensors
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import binary, store

Say = Callable[..., None]


@value_class(frozen=True, kw_only=True)
class Task:
    """What a worker is asked for."""

    kind: str
    """``plain``, ``torch`` or ``aiter``; ``probe`` looks for a device only."""
    cases: tuple[tuple[str, str], ...]
    """Module and kernel of each case."""
    seed: int
    ways: tuple[str, ...]
    timed: bool
    """Measure instead of judging."""
    own_builds: Mapping[str, str]
    """AITER's name of a module -> the file that its JIT built."""


class NoPassError(Exception):
    """This pass cannot be made here; the message says why."""


def main() -> None:
    """Do one task."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever HIP or torch print must not end up between our lines

    def say(event: str, **fields: Any) -> None:  # noqa: ANN401  JSON values
        print(json.dumps({"event": event, **fields}), file=channel, flush=True)

    raw = json.load(sys.stdin)
    task = Task(**{**raw, "cases": tuple(map(tuple, raw["cases"])), "ways": tuple(raw["ways"])})
    try:
        work(task, say)
    except (device.NoDeviceError, NoPassError) as error:
        say("missing", reason=str(error))
    _leave(channel)


def _leave(channel: TextIO) -> None:
    # Without the runtimes' own ends: after a fault they may hang, and nothing is left to be done.
    channel.flush()
    sys.stderr.flush()
    os._exit(0)


def work(task: Task, say: Say) -> None:
    """Find the device, then run the cases; stops where HIP failed."""
    torch = importlib.import_module("torch") if task.kind in ("torch", "aiter") else None
    if torch is not None:
        _check_torch(torch)
    modules = Modules(store.read_all(), through_aiter=task.kind == "aiter")
    runtime = device.load(modules.soname, settings.read().library_path)
    found = device.find(runtime)
    say("device", **vars(found))
    if not task.cases:
        return
    tensors: Tensors = (
        PlainTensors(runtime, found.index)
        if torch is None
        else TorchTensors(runtime, found.index, torch)
    )
    known = {
        (c.module.name, c.name): c for e in modules.entries.values() for c in cases_of(e.module)
    }
    for name in task.cases:
        case = known[name]
        say("begin", module=name[0], kernel=name[1])
        if not _one(case, task, modules, (runtime, tensors, found), say):
            return


class Modules:
    """The installed modules and the functions to call for each, loaded once."""

    def __init__(self, shelves: tuple[store.Shelf, ...], *, through_aiter: bool) -> None:
        self.entries = {entry.module.name: entry for entry in store.entries(shelves)}
        manifests = [shelf.manifest for shelf in shelves if shelf.manifest is not None]
        self.deployments = [one for manifest in manifests for one in manifest.deployments]
        self._through_aiter = through_aiter
        self._loaded: dict[str, Any] = {}

    @property
    def soname(self) -> str:
        """The HIP runtime that the modules need."""
        needed = (hip_runtime(entry.module.needed) for entry in self.entries.values())
        return next(filter(None, needed), host.DEFAULT_RUNTIME)

    def functions(self, name: str) -> Any:  # noqa: ANN401  a module
        """Return a module's functions; raises BinaryError or ImportError."""
        if self._through_aiter:
            try:
                return importlib.import_module("aiter.ops.moe_op")
            except Exception as error:
                raise NoPassError(f"aiter cannot be imported: {error!r}") from error
        if name not in self._loaded:
            entry = self.entries[name]
            checked = binary.check(entry.module, entry.path, host.glibc_version())
            module = checked.load()
            checked.execute(module)
            self._loaded[name] = module
        return self._loaded[name]


def _one(
    case: Case,
    task: Task,
    modules: Modules,
    on: tuple[device.Hip, Tensors, device.DeviceFacts],
    say: Say,
) -> bool:
    """Run or measure one case and say how it went; False where this process is of no more use."""
    began = time.perf_counter()
    runtime, tensors, found = on
    launches: Sequence[LaunchResult] = ()
    timings: list[dict[str, Any]] = []
    note, good = "", True
    try:
        bench = run.Bench(
            runtime=runtime,
            tensors=tensors,
            functions=modules.functions(case.module.name),
            prefix="" if task.kind == "plain" else f"{task.kind}, ",
        )
        if task.timed:
            own = task.own_builds.get(case.module.stock_name)
            build = None if own is None or task.kind == "plain" else Path(own)
            measured = timing.measure(case, bench, found, modules.deployments, build)
            timings = [vars(one) for one in measured]
        else:
            launches = run.run_case(case, bench, seed=task.seed, ways=task.ways)
    except NoProblemError as error:
        note = str(error)
    except run.Spent as error:
        launches, good = error.results, False
    except (BinaryError, ImportError, OSError) as error:
        finding = Finding(code="load", message=f"the module cannot be loaded: {error}")
        launches = (run.failed(task.kind, finding),)
    seconds = round(time.perf_counter() - began, 3)
    results = [launch_json(launch) for launch in launches]
    say("done", launches=results, timings=timings, seconds=seconds, note=note)
    return good


def _check_torch(torch: Any) -> None:  # noqa: ANN401  the module
    if not torch.cuda.is_available():
        raise NoPassError(f"torch {torch.__version__} has no GPU here")
    torch.cuda.init()
