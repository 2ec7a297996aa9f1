"""A wheel's kernels on the executor, beside what a device reported of the same wheel."""

from __future__ import annotations

import hashlib
from contextlib import closing
from functools import partial
from pathlib import Path

from aiter_prebuilt.selftest.cases import cases_of
from aiter_prebuilt.selftest.problems import Case
from prebuild.core import console
from prebuild.core.errors import ProblemsError
from prebuild.core.settings import Settings
from prebuild.core.workers import spread
from prebuild.toolchain import load as load_toolchain
from prebuild.verify.device import Beside, DeviceReport, beside, read_report
from prebuild.verify.errors import NoKernelError
from prebuild.verify.source import listed_modules, opened
from prebuild.verify.subject import Subject, subjects_in


class OtherWheelError(ProblemsError):
    """A report is of other modules or kernels than a wheel holds."""

    exit_code = 2


def compare(
    wheel: Path,
    reported: Path,
    *,
    settings: Settings,
    objdump: Path | None = None,
    jobs: int | None = None,
    only: str = "",
) -> list[Beside]:
    """Return a comparison a kernel that the report names and whose name holds ``only``.

    Raises :class:`NoKernelError` where there is none, :class:`OtherWheelError` with every module of
    the report of which ``wheel`` has no file, or another one, and every kernel that it has not.
    """
    report = read_report(reported)
    if not any(only in kernel for _, kernel in report.verdicts):
        asked = f" with {only!r} in its name" if only else ""
        raise NoKernelError(f"{reported} names no kernel{asked}: there is nothing to compare")
    tool = objdump or load_toolchain(settings).tool("llvm-objdump")
    with opened(wheel) as place:
        work = [(case, subject) for case, subject in _work(place, report) if only in case.name]
        found: list[Beside] = []
        calls = (partial(beside, *each, tool, report) for each in work)
        with (
            console.progress("running kernels") as on_done,
            closing(spread(calls, jobs)) as compared,
        ):
            for one in compared:
                found.append(one)
                on_done(len(found), len(work), one.kernel)
    return sorted(found, key=lambda one: (one.module, one.kernel))


def _work(place: Path, report: DeviceReport) -> list[tuple[Case, Subject]]:
    held = {module.name: (file, module) for file, module in listed_modules(place)}
    found = {name: _sha256(file) for name, (file, _) in held.items()}
    problems = [
        f"{name}: sha256 {sha256[:16]} in the report, {found.get(name, 'not there')[:16]} here"
        for name, sha256 in sorted(report.modules.items())
        if found.get(name) != sha256
    ]
    if problems:
        raise OtherWheelError("the report is of other modules:", problems)
    work: dict[tuple[str, str], tuple[Case, Subject]] = {}
    for name in sorted(report.modules):
        file, module = held[name]
        subjects = {one.symbol: one for one in subjects_in(file).subjects}
        for case in cases_of(module):
            if (name, case.name) in report.verdicts and case.kernel.symbol in subjects:
                work[name, case.name] = case, subjects[case.kernel.symbol]
    if missing := sorted(report.verdicts.keys() - work.keys()):
        raise OtherWheelError(
            "the report names kernels that the wheel has not:",
            [f"{module}: {kernel}" for module, kernel in missing],
        )
    return list(work.values())


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
