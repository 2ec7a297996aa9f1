"""Verifies many kernels: from a cache where one holds the verdict, else in parallel processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from prebuild.core.model import OnDone
from prebuild.core.whole import whole
from prebuild.core.workers import spread
from prebuild.gfx950 import EXECUTOR_VERSION
from prebuild.gfx950.launch import Launch
from prebuild.verify.runner import run_subject
from prebuild.verify.subject import Subject
from prebuild.verify.verdict import Verdict

PROBLEMS_VERSION = "3"
"""Raised whenever the problems or the reference change: part of the cache key of a verdict."""


def verify(
    subjects: Sequence[Subject],
    *,
    objdump: Path,
    cache: Path | None = None,
    jobs: int | None = None,
    on_done: OnDone = lambda _finished, _total, _kernel: None,
) -> list[Verdict]:
    """Return a verdict a kernel, in the order of ``subjects``.

    ``objdump`` is llvm-objdump with gfx950.  Only a good verdict is kept in ``cache``.
    """
    verdicts: dict[tuple[str, str], Verdict] = {}
    missing: list[Subject] = []
    for subject in subjects:
        known = _load(cache, subject)
        if known is None:
            missing.append(subject)
        else:
            verdicts[subject.symbol, subject.sha256] = known
            on_done(len(verdicts), len(subjects), known.kernel)
    with closing(_run(missing, objdump, jobs)) as found:
        for verdict in found:
            verdicts[verdict.symbol, verdict.code_object] = verdict
            _store(cache, verdict, missing)
            on_done(len(verdicts), len(subjects), verdict.kernel)
    return [verdicts[subject.symbol, subject.sha256] for subject in subjects]


def _run(subjects: list[Subject], objdump: Path, jobs: int | None) -> Generator[Verdict]:
    """Yield verdicts as they come."""
    if len(subjects) <= 1 or jobs == 1:
        yield from (run_subject(subject, objdump) for subject in subjects)
        return
    ordered = sorted(subjects, key=_weight)
    yield from spread((partial(run_subject, subject, objdump) for subject in ordered), jobs)


def _weight(subject: Subject) -> int:
    """Order: the largest kernels first, so that no long one is left to the end."""
    return -subject.facts.m * subject.facts.n


def _key(subject: Subject) -> str:
    content = (
        subject.sha256,
        subject.symbol,
        EXECUTOR_VERSION,
        PROBLEMS_VERSION,
        [batch.name() for batch in subject.batches],
        {name: _launch_key(launch) for name, launch in sorted(subject.launches.items())},
        subject.launch_problem,
    )
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _launch_key(launch: Launch) -> tuple[object, ...]:
    # The first bytes of the arguments are host pointers, different in every process.
    return launch.grid, launch.block, launch.dynamic_lds, launch.kernarg[16:].hex()


def _load(cache: Path | None, subject: Subject) -> Verdict | None:
    if cache is None:
        return None
    path = cache / f"{_key(subject)}.json"
    try:
        return Verdict.from_json(json.loads(path.read_text())).from_cache()
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a file that is not there or damaged costs a run


def _store(cache: Path | None, verdict: Verdict, subjects: Sequence[Subject]) -> None:
    if cache is None or not verdict.ok:
        return
    subject = next(
        one for one in subjects if (one.symbol, one.sha256) == (verdict.symbol, verdict.code_object)
    )
    with whole(cache / f"{_key(subject)}.json") as scratch:
        scratch.write_text(json.dumps(verdict.to_json(), indent=1, sort_keys=True) + "\n")
