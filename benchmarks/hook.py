"""What the start-up hook costs: ``python -c pass`` with and without the ``.pth`` file.

The hook itself is timed inside the interpreter (wall and CPU), since the noise of starting a
process is larger than the hook.
"""

from __future__ import annotations

import argparse

from benchmarks._site import run, site, summary

_TIMED = """
import os, site, sys, time  # the interpreter has os and site by then
names = set(sys.modules)
wall, cpu = time.perf_counter(), time.process_time()
{body}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
new = sorted(set(sys.modules) - names)
print(wall * 1e3, cpu * 1e3, ",".join(new))
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    with site(None) as (folder, env):
        line = (folder / "aiter_prebuilt.pth").read_text()
        start = f"sys.path.append({str(folder)!r})\n"
        code = _TIMED.format(body=start + line)
        run(["-c", code], env)
        found = [run(["-c", code], env).split() for _ in range(runs)]
        print(summary("start-up hook, wall", [float(item[0]) for item in found]))
        print(summary("start-up hook, CPU", [float(item[1]) for item in found]))
        print(f"modules that it loads: {found[0][2]}")
        ask = (
            f"{start}{line}import timeit\n"
            "hook = sys.meta_path[-1]\n"
            "print(timeit.timeit(lambda: hook.find_spec('some.other.module'), number=100000) * 1e4)"
        )
        took = [float(run(["-c", f"import sys\n{ask}"], env)) for _ in range(5)]
        print(summary("a name that is not ours", took, "ns"))


if __name__ == "__main__":
    main()
