"""What one call costs: through binding, checks, choice and a launch that only a recorder takes.

Beside it, in turns in one process: a function of the same signature by pybind11 and torch that does
nothing.  Tensors are torch's own, of a torch for CPUs that is made to claim a GPU (``claim.c``).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from prebuild.core import proc
from prebuild.core.settings import Settings
from prebuild.recording import build_runtime
from prebuild.toolchain import load

HERE = Path(__file__).parent
_PLACES = """
import json, sysconfig, torch
print(json.dumps([sysconfig.get_paths()["include"], torch.__path__[0]]))
"""


def main() -> None:
    """Build the two sides, time them, print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", type=Path, required=True, help="a virtual environment with it")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("modules", nargs="+", help="LABEL=FILE of A4W4 modules")
    parsed = parser.parse_args()
    python = parsed.torch / "bin" / "python"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, python)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(folder / "hip")}
        modules = [_named(text) for text in parsed.modules]
        command = [python, "-I", HERE / "inside.py", folder, str(parsed.rounds), *modules]
        took = json.loads(subprocess.check_output(command, env=environment))
    bare = statistics.median(took["bare"])
    for label, samples in took.items():
        median = statistics.median(samples)
        print(
            f"{label:<12} median {median:7.0f} ns  least {min(samples):7.0f} ns  "
            f"{median / bare:5.2f} of bare  ({len(samples)} rounds)"
        )


def build(folder: Path, python: Path) -> None:
    """Compile the bare function, the claim and the recording runtime into ``folder``."""
    toolchain = load(Settings.from_environ(os.environ))
    build_runtime(toolchain, folder / "hip")
    include, torch = json.loads(subprocess.check_output([python, "-c", _PLACES]))
    shared = [toolchain.clangxx, *toolchain.host_flags, "-O2", "-shared", "-fPIC", f"-I{include}"]
    proc.run([*shared, "-x", "c", HERE / "claim.c", "-o", folder / "claim.so"])
    libraries = (f"-L{torch}/lib", "-ltorch_python", "-ltorch", "-ltorch_cpu", "-lc10", "-lstdc++")
    proc.run(
        [
            *shared,
            "-std=c++20",
            f"-I{torch}/include",
            f"-I{torch}/include/torch/csrc/api/include",
            HERE / "bare.cpp",
            *libraries,
            "-o",
            folder / "bare.so",
        ]
    )


def _named(text: str) -> str:
    """LABEL=FILE with the module's name between: PyInit has it."""
    label, _, file = text.partition("=")
    return f"{label}={Path(file).name.partition('.')[0]}={Path(file).resolve()}"


if __name__ == "__main__":
    main()
