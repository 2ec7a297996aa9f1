"""What importing a prebuilt module costs in a fresh process, verification included.

Cold: byte code of this package is there, nothing of it imported (a server has imported torch and
with it most of the standard library; ``--warm`` imports those parts first).
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

from benchmarks._site import run, site, summary

_CODE = """
import site, sys, time
site.addsitedir({folder!r}); sys.path.insert(0, {folder!r})
import aiter.jit.core, importlib
if {warm}:
    import argparse, ast, dataclasses, hashlib, importlib.util, inspect, json, logging, pathlib, re
    import struct, threading, typing
if {evict}:
    import os
    for path in pathlib.Path({folder!r}, "aiter_prebuilt").rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
begun, cpu = time.perf_counter(), time.process_time()
module = importlib.import_module("aiter.jit." + {stock!r})
print((time.perf_counter() - begun) * 1e3, (time.process_time() - cpu) * 1e3, module.__name__)
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument(
        "--package", type=Path, help="folder with a real manifest.json and modules/"
    )
    parser.add_argument("--runtime", type=Path, help="folder with the libamdhip64.so.7 it needs")
    parsed = parser.parse_args()
    with site(parsed.package, parsed.runtime) as (folder, env):
        stock = _stock_name(folder)
        for label, warm, evict in (
            ("cold standard library", False, False),
            ("warm standard library", True, False),
            ("warm standard library, files not cached", True, True),
        ):
            code = _CODE.format(folder=str(folder), warm=warm, evict=evict, stock=stock)
            run(["-c", code], env)
            found = [run(["-c", code], env).split() for _ in range(parsed.runs)]
            print(summary(f"{label}, wall", [float(item[0]) for item in found]))
            print(summary(f"{label}, CPU", [float(item[1]) for item in found]))
        print(summary("of it: reading and hashing the file", _hash_times(folder, parsed.runs)))


def _hash_times(folder: Path, runs: int) -> list[float]:
    """The share of hashing: sha256 of the first module's file, in milliseconds."""
    file = next((folder / "aiter_prebuilt" / "modules").glob("*.so"))
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        hashlib.sha256(file.read_bytes()).hexdigest()
        found.append((time.perf_counter() - begun) * 1e3)
    return found


def _stock_name(folder: Path) -> str:
    from aiter_prebuilt.wheel.manifest import parse

    return parse((folder / "aiter_prebuilt" / "manifest.json").read_text()).modules[0].stock_name


if __name__ == "__main__":
    main()
