"""Run one compile and write what it cost: ``measure.py COST.json COMMAND [ARG ...]``.

A script of its own, with nothing but the standard library's lightest modules, because ninja starts
it for every edge.
"""

from __future__ import annotations

import os
import sys
import time


def main(argv: list[str]) -> int:
    """Run ``argv[2:]``, write seconds, CPU seconds and peak bytes to ``argv[1]``."""
    target, command = argv[1], argv[2:]
    began = time.time()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    ended = time.time()
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        scratch = f"{target}.{os.getpid()}"
        with open(scratch, "w", encoding="ascii") as file:  # noqa: PTH123  pathlib costs 10 ms
            file.write(
                f'{{"began": {began:.3f}, "seconds": {ended - began:.3f}, '
                f'"cpu_seconds": {usage.ru_utime + usage.ru_stime:.3f}, '
                f'"peak_bytes": {usage.ru_maxrss * 1024}}}\n'
            )
        os.replace(scratch, target)  # noqa: PTH105
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv))
