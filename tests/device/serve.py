"""Runs in a process of its own: a kernel through AITER's stubs, the finder, the loader, the guard.

``serve.py SITE``: the site folder is added the way an interpreter does it, so that its ``.pth``
file puts the finder in place.  Prints what happened as JSON.
"""

import dataclasses
import json
import site
import sys
from typing import Any


def other_tail(case: Any) -> Any:
    """The same kernel for one K step more or less: perhaps one that the module does not hold."""
    tail = "odd" if case.kernel.tail == "even" else "even"
    kernel = dataclasses.replace(case.kernel, tail=tail)
    return dataclasses.replace(case, kernel=kernel)


def names(cases: Any) -> set[str]:
    """Which kernels these are."""
    return {case.name for case in cases}


def main() -> None:
    folder = sys.argv[1]
    site.addsitedir(folder)
    from aiter_prebuilt import reasons
    from aiter_prebuilt.selftest import device, run
    from aiter_prebuilt.selftest.cases import cases_of
    from aiter_prebuilt.selftest.report import launch_json
    from aiter_prebuilt.selftest.tensors import PlainTensors
    from aiter_prebuilt.wheel import store

    runtime = device.load("libamdhip64.so.7", ())
    tensors = PlainTensors(runtime, device.find(runtime).index)
    from aiter.ops import moe_op

    # A whole module leaves nothing to the guard; one with gaps is taken where there is one.
    entries = store.entries(store.read_all())
    entry = next((e for e in entries if e.module.coverage == "deployed"), entries[0])
    bench = run.Bench(runtime=runtime, tensors=tensors, functions=moe_op)
    cases = cases_of(entry.module)
    covered, uncovered = [], []
    for stage in (1, 2):
        one = next(case for case in cases if case.instance.stage == stage)
        covered += run.run_case(one, bench, seed=3, ways=run.WAYS)
    if entry.module.coverage == "deployed":
        missing = next(case for case in map(other_tail, cases) if case.name not in names(cases))
        uncovered += run.run_case(missing, bench, seed=3, ways=(run.NULL,))
    json.dump(
        {
            "covered": [launch_json(launch) for launch in covered],
            "uncovered": [launch_json(launch) for launch in uncovered],
            "events": [event.code for event in reasons()],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
