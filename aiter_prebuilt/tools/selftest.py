"""``aiter-prebuilt selftest``: every installed kernel on this machine's gfx950, judged."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import hip
from aiter_prebuilt.selftest import run, session
from aiter_prebuilt.selftest.cases import chosen
from aiter_prebuilt.selftest.problems import Case
from aiter_prebuilt.selftest.report import KernelResult, PassResult, Report, Timing, merged
from aiter_prebuilt.selftest.worker import Task
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import jitdir
from aiter_prebuilt.tools.ask import count
from aiter_prebuilt.tools.tables import table
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store

SEED = 1
_TIMEOUT = 300.0
"""Seconds without a word from a kernel; an emulator on a busy machine takes tens of them."""
_MOST_JOBS = 8
_AMDGPU = "module/amdgpu/version"
"""Below the root of sysfs: the version of the kernel's driver, where it is not the kernel's own."""
Passes = Literal["auto", "plain", "torch", "aiter"]
PASSES = ("auto", "plain", "torch", "aiter")


class SelftestError(PrebuiltError):
    """There is nothing to test."""


@value_class(frozen=True, kw_only=True)
class Wish:
    """What is asked for."""

    module: str = ""
    kernel: str = ""
    quick: bool = False
    timed: bool = False
    seed: int = SEED
    jobs: int | None = None
    timeout: float = _TIMEOUT
    passes: Passes = "auto"


def options(command: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    command.add_argument("--module", default="", help="only modules whose name holds this text")
    command.add_argument("--kernel", default="", help="only kernels whose name holds this text")
    command.add_argument("--quick", action="store_true", help="one launch a kernel, no torch")
    command.add_argument(
        "--time",
        action="store_true",
        help="also measure device times at the deployments' shapes, beside AITER's own builds",
    )
    command.add_argument("--seed", type=int, default=SEED, help="other numbers in the problems")
    text = f"processes; default: one a core, {_MOST_JOBS} at most"
    command.add_argument("--jobs", type=count, help=text)
    command.add_argument(
        "--timeout", type=_seconds, default=_TIMEOUT, help="seconds after which a kernel hangs"
    )
    command.add_argument(
        "--passes",
        choices=PASSES,
        default="auto",
        help="auto: plain tensors, then torch's and AITER's own calls where they are installed",
    )


def _seconds(text: str) -> float:
    found = float(text)
    if not 0 < found <= threading.TIMEOUT_MAX:  # NaN is neither
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above zero")
    return found


def wish_of(parsed: argparse.Namespace) -> Wish:
    """Return the options as a value."""
    return Wish(
        module=parsed.module,
        kernel=parsed.kernel,
        quick=parsed.quick,
        timed=parsed.time,
        seed=parsed.seed,
        jobs=parsed.jobs,
        timeout=parsed.timeout,
        passes=parsed.passes,
    )


def test(wish: Wish, asked: Settings, version: str) -> Report:
    """Run what is asked for; progress goes to stderr.

    Raises :class:`session.MissingError` where there is no gfx950, :class:`SelftestError` where no
    kernel has these names.
    """
    entries = store.entries(store.read_all())
    cases = chosen(entries, wish.module, wish.kernel)
    if not cases:
        raise SelftestError(_nothing(entries, wish))
    began = time.monotonic()
    wanted = _wanted(wish)
    device = session.probe("torch" if wish.passes == "torch" else "plain", wish.timeout)
    print(f"{device.name or device.arch}, {len(cases)} kernels", file=sys.stderr)
    passes: list[PassResult] = []
    results: list[KernelResult] = []
    for kind in wanted:
        result, found = _pass(kind, cases, wish)
        passes.append(result)
        results += [done.result for done in found]
    timings = _times(cases, wish, asked, passes) if wish.timed else []
    names = {case.module.name for case in cases}
    return Report(
        version=version,
        modules={e.module.name: e.module.sha256 for e in entries if e.module.name in names},
        device=device,
        host=_host(asked),
        seed=wish.seed,
        seconds=time.monotonic() - began,
        passes=tuple(passes),
        kernels=merged(results),
        timings=tuple(timings),
    )


def _nothing(entries: Sequence[store.Entry], wish: Wish) -> str:
    if not entries:
        return "no modules are installed; see `aiter-prebuilt list`"
    return (
        f"no kernel of the {len(entries)} installed modules has {wish.kernel!r} in its name in a"
        f" module with {wish.module!r} in its own; see `aiter-prebuilt list`"
    )


def _wanted(wish: Wish) -> tuple[str, ...]:
    if wish.passes != "auto":
        return (wish.passes,)
    return ("plain",) if wish.quick else ("plain", "torch", "aiter")


def _pass(kind: str, cases: Sequence[Case], wish: Wish) -> tuple[PassResult, list[session.Done]]:
    """Run all kernels with one kind of tensors; what is not installed is skipped with a reason."""
    missing = _not_installed(kind)
    if missing:
        return PassResult(name=kind, state="skipped", detail=missing), []
    # torch's tensors and AITER's calls need one pass: what they share with the plain one is proven.
    ways = (run.NULL,) if wish.quick or kind != "plain" else run.WAYS
    try:
        found = session.run_all(
            cases,
            Task(kind=kind, cases=(), seed=wish.seed, ways=ways, timed=False, own_builds={}),
            jobs=_jobs(wish),
            timeout=wish.timeout,
            on_done=Progress(kind, len(cases)),
        )
    except session.MissingError as error:
        asked_for = kind in (wish.passes, "plain")
        state: Literal["skipped", "failed"] = "failed" if asked_for else "skipped"
        return PassResult(name=kind, state=state, detail=str(error)), []
    return PassResult(name=kind, state="run", detail=f"{len(found)} kernels"), found


def _not_installed(kind: str) -> str:
    if kind in ("torch", "aiter") and not hip.is_installed("torch"):
        return "torch is not installed"
    if kind == "aiter" and contract.locate() is None:
        return "AITER is not installed"
    return ""


def _times(
    cases: Sequence[Case], wish: Wish, asked: Settings, passes: Sequence[PassResult]
) -> list[Timing]:
    """Measure each kernel; in one process at a time, so that nothing else is on the GPU."""
    with_torch = any(one.name == "torch" and one.state == "run" for one in passes)
    own = _own_builds(cases, asked) if with_torch else {}
    task = Task(
        kind="torch" if own else "plain",
        cases=(),
        seed=wish.seed,
        ways=(),
        timed=True,
        own_builds=own,
    )
    on_done = Progress("time", len(cases))
    found = session.run_all(cases, task, jobs=1, timeout=wish.timeout, on_done=on_done)
    return [timing for done in found for timing in (done.timings or (_unmeasured(done),))]


def _unmeasured(done: session.Done) -> Timing:
    findings = [one.message for launch in done.result.launches for one in launch.findings]
    return Timing(
        module=done.result.module,
        kernel=done.result.kernel,
        shape="",
        recipe="",
        microseconds=None,
        repeats=0,
        aiter_microseconds=None,
        note="; ".join([*findings, done.result.note]).strip("; "),
    )


def _own_builds(cases: Sequence[Case], asked: Settings) -> dict[str, str]:
    """AITER's own builds of these modules, where its JIT directory has them."""
    root = contract.locate()
    jit = jitdir.gather(asked, root)
    if jit is None:
        return {}
    names = sorted({case.module.stock_name for case in cases})
    found = {name: jitdir.own_file(Path(jit.folder), name) for name in names}
    return {name: str(path) for name, path in found.items() if path is not None}


def _jobs(wish: Wish) -> int:
    return wish.jobs or min(_MOST_JOBS, os.cpu_count() or 1)


def _host(asked: Settings) -> dict[str, str]:
    try:
        driver = Path(asked.sysfs_root, _AMDGPU).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        driver = "the kernel's own"
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "amdgpu": driver,
        "machine": platform.machine(),
    }


class Progress:
    """A line on stderr for each kernel."""

    def __init__(self, kind: str, total: int) -> None:
        self._kind, self._total, self._done = kind, total, 0

    def __call__(self, done: session.Done) -> None:
        """Say how one kernel went."""
        self._done += 1
        result = done.result
        verdict = "measured" if done.timings else result.verdict
        print(
            f"[{self._done}/{self._total}] {self._kind}: {result.kernel} {verdict}"
            f" ({result.seconds:.1f} s)",
            file=sys.stderr,
            flush=True,
        )


def text(report: Report) -> str:
    """Return the report for people: what is wrong first, then figures."""
    device = report.device
    emulated = f", emulated by {device.emulator}" if device.emulator else ""
    rows = [
        ("device", f"{device.name} {device.arch}{emulated}"),
        ("HIP runtime", f"{device.library} {device.runtime_version}"),
        *((f"pass {one.name}", f"{one.state}, {one.detail}") for one in report.passes),
    ]
    lines = [table(("on", "what"), rows), ""]
    for result in report.kernels:
        if result.verdict != "right":
            lines.append(f"{result.verdict}: {result.kernel} of {result.module}")
            lines += [f"    {line}" for line in _whys(result)]
    lines += _timing_lines(report.timings, emulated=device.emulator is not None)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.verdicts.items())
    errors = [one.max_error for one in report.kernels if one.max_error is not None]
    worst = f", largest error {max(errors):.3f} of its bound" if errors else ""
    lines.append(f"{len(report.kernels)} kernels: {counts}{worst}; {report.seconds:.1f} s")
    return "\n".join(lines)


def _whys(result: KernelResult) -> list[str]:
    found = [
        f"{launch.way}: {finding.message} ({finding.code})"
        for launch in result.launches
        for finding in launch.findings
    ]
    return [result.problem, *found, *([result.note] if result.note else [])]


def _timing_lines(timings: Sequence[Timing], *, emulated: bool) -> list[str]:
    if not timings:
        return []
    rows = [
        (
            "-" if one.microseconds is None else f"{one.microseconds:.1f}",
            "-" if one.aiter_microseconds is None else f"{one.aiter_microseconds:.1f}",
            "-" if one.ratio is None else f"{one.ratio:.3f}",
            one.recipe,
            one.shape or one.note,
            one.kernel,
        )
        for one in timings
    ]
    head = ("us", "AITER's us", "ratio", "recipe", "shape", "kernel")
    warning = ["these times mean nothing: the device is emulated"] if emulated else []
    return [table(head, rows), *warning, ""]
