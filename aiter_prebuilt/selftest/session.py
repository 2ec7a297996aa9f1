"""Workers: shares of the kernels, each in a process that is started anew where it dies."""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, NoReturn

from aiter_prebuilt import settings
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.selftest.device import DeviceFacts
from aiter_prebuilt.selftest.judge import Finding
from aiter_prebuilt.selftest.problems import Case, describe
from aiter_prebuilt.selftest.report import KernelResult, LaunchResult, Timing, launch_of
from aiter_prebuilt.selftest.worker import Task
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.store import PACKAGE

_STRICT = {"AITER_PREBUILT": "strict", "AITER_PREBUILT_UNCOVERED": "full"}
"""For AITER's own calls: it must not start to compile where it is not served."""
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from aiter_prebuilt.selftest.worker import main; main()"
)
_CHUNK = 1 << 16
_TAIL = 2000
"""Bytes of a dead worker's last words."""


class MissingError(PrebuiltError):
    """A worker found no device, or cannot make this pass: nothing was run; it says why."""

    exit_code = 6


class _DiedError(Exception):
    """A worker ended, or was ended, in the middle of its work."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@value_class(frozen=True, kw_only=True)
class Done:
    """One kernel's share of a pass."""

    result: KernelResult
    timings: tuple[Timing, ...]


OnDone = Callable[[Done], None]


def probe(kind: str, timeout: float) -> DeviceFacts:
    """Return the device that workers of this kind find; raises :class:`MissingError`."""
    task = Task(kind=kind, cases=(), seed=0, ways=(), timed=False, own_builds={})
    try:
        for message in _Worker(task).messages(timeout):
            if message["event"] == "missing":
                raise MissingError(f"nothing was run: {message['reason']}")
            return DeviceFacts(**{key: value for key, value in message.items() if key != "event"})
    except _DiedError as error:
        raise MissingError(f"nothing was run: looking for a device ended badly: {error}") from error
    raise MissingError("nothing was run: looking for a device gave no answer")


def run_all(
    cases: Sequence[Case], task: Task, *, jobs: int, timeout: float, on_done: OnDone
) -> list[Done]:
    """Run the cases in ``jobs`` processes; ``on_done`` is called for each, in this thread."""
    waiting: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()

    def share(own: Sequence[Case]) -> None:
        try:
            for done in _run_share(own, task, timeout):
                waiting.put(done)
        except BaseException as error:
            waiting.put(error)
        waiting.put(None)

    shares = [cases[start::jobs] for start in range(min(jobs, len(cases)))]
    for own in shares:
        threading.Thread(target=share, args=(own,), daemon=True).start()
    found, running = [], len(shares)
    while running:
        one = waiting.get()
        if isinstance(one, BaseException):
            raise one
        if one is None:
            running -= 1
            continue
        found.append(one)
        on_done(one)
    order = {(case.module.name, case.name): index for index, case in enumerate(cases)}
    return sorted(found, key=lambda one: order[one.result.module, one.result.kernel])


def _run_share(cases: Sequence[Case], task: Task, timeout: float) -> Iterator[Done]:
    """Run cases one after the other, in a new process where the last one died."""
    left = list(cases)
    while left:
        names = tuple((case.module.name, case.name) for case in left)
        began = time.monotonic()
        started = False
        try:
            for message in _Worker(Task(**{**vars(task), "cases": names})).messages(timeout):
                if message["event"] == "missing":
                    raise MissingError(message["reason"])
                started = started or message["event"] == "begin"
                if message["event"] == "done":
                    yield _done(left.pop(0), message)
                    began, started = time.monotonic(), False
            if started or len(left) == len(names):
                _raise_silent()
        except _DiedError as error:
            code = error.code if started else "start"  # before its first kernel: no kernel's fault
            finding = Finding(code=code, message=str(error))
            yield _dead(left.pop(0), task, finding, time.monotonic() - began)


def _raise_silent() -> NoReturn:
    raise _DiedError("crash", "the process ended without a word")


def _done(case: Case, message: Mapping[str, Any]) -> Done:
    launches = tuple(launch_of(raw) for raw in message["launches"])
    result = _result(case, launches, message["seconds"], message["note"])
    return Done(result=result, timings=tuple(Timing(**raw) for raw in message["timings"]))


def _dead(case: Case, task: Task, finding: Finding, seconds: float) -> Done:
    launch = LaunchResult(
        way=task.kind,
        elements=0,
        max_error=None,
        seconds=round(seconds, 3),
        findings=(finding,),
    )
    return Done(result=_result(case, (launch,), round(seconds, 3), ""), timings=())


def _result(
    case: Case, launches: tuple[LaunchResult, ...], seconds: float, note: str
) -> KernelResult:
    return KernelResult(
        module=case.module.name,
        kernel=case.name,
        symbol=case.kernel.symbol,
        stage=case.instance.stage,
        problem=describe(case),
        launches=launches,
        seconds=seconds,
        note=note,
    )


class _Worker:
    """One process."""

    def __init__(self, task: Task) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in messages
        changes = _STRICT if task.kind == "aiter" else {}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(PACKAGE.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=settings.for_child(changes),
        )
        stdin = self._process.stdin
        if stdin is None or self._process.stdout is None:
            raise RuntimeError("a process without pipes")
        try:
            stdin.write(json.dumps(vars(task)).encode())
            stdin.close()
        except BrokenPipeError:
            pass  # it is dead already, and says why below
        self._output = self._process.stdout.fileno()

    def messages(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Yield what it says; raises :class:`_DiedError` where it dies or says nothing more."""
        rest = b""
        try:
            while True:
                ready, _, _ = select.select([self._output], [], [], timeout)
                if not ready:
                    raise _DiedError("hang", f"no answer for {timeout:g} s; ended")
                data = os.read(self._output, _CHUNK)
                if not data:
                    self._check_end()
                    return
                *lines, rest = (rest + data).split(b"\n")
                yield from map(json.loads, lines)
        finally:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._errors.close()

    def _check_end(self) -> None:
        code = self._process.wait()
        if code:
            name = f"exit code {code}" if code > 0 else _signal(-code)
            self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(self._errors.tell() - _TAIL, 0))
            words = self._errors.read().decode(errors="replace").strip()
            raise _DiedError("crash", f"the process ended with {name}: {words or 'no word'}")


def _signal(number: int) -> str:
    """Return the name of a signal; those between the two ends of the real-time ones have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
