"""Build the recording runtime, make calls against it, read what was recorded."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from prebuild.core import proc
from prebuild.toolchain import Toolchain

_HERE = Path(__file__).parent
SONAME = "libamdhip64.so.7"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call; an argument that maps ``shape``, ``dtype``, ``pointer``, ``device`` is a tensor."""

    function: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    uncovered: bool = False
    """Whether a handler for refused calls is set; it returns [function, kind, reason, ...]."""
    warnings: Literal["always", "error"] = "always"
    """Python's filter during the call."""


@dataclass(frozen=True, kw_only=True)
class LaunchRecord:
    """One ``hipLaunchKernel``, as the runtime saw it."""

    symbol: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int
    stream: int
    device: int
    arguments: bytes
    """The kernel's by-value argument struct, as many bytes as were asked for."""
    cleared: tuple[int, int, int] | None = None
    """(address, bytes, value) of a ``hipMemsetAsync`` since the launch before."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a series of calls did."""

    docs: Mapping[str, str]
    results: tuple[Mapping[str, Any], ...]
    """One a call: ``returned`` and ``warnings``, or ``raised`` and ``message``."""
    launches: tuple[LaunchRecord, ...]


def build_runtime(toolchain: Toolchain, directory: Path) -> Path:
    """Compile the recording runtime; returns the folder that holds it under its soname."""
    directory.mkdir(parents=True, exist_ok=True)
    output = directory / SONAME
    flags = [
        *("-x", "c", "-O1", "-shared", "-fPIC", f"-Wl,-soname,{SONAME}"),
        *(f"-Wl,--version-script,{_HERE / 'exports.map'}", "-o", str(output)),
    ]
    sources = sorted(_HERE.glob("*.c"))
    proc.run([toolchain.clangxx, *toolchain.host_flags, *flags, *sources])
    return directory


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Makes calls of a module in processes of their own."""

    runtime: Path
    """The folder of :func:`build_runtime`."""
    python: Path = Path(sys.executable)

    def record(
        self,
        name: str,
        module: Path,
        calls: Sequence[Call],
        *,
        log: Path,
        argument_bytes: int = 0,
        environment: Mapping[str, str] | None = None,
        exchange: bool = False,
    ) -> Recorded:
        """Load ``module`` under its own ``name`` and make ``calls``; ``log`` is written anew.

        With ``exchange`` the tensors offer DLPack's C exchange API, else their methods alone.
        """
        log.unlink(missing_ok=True)
        env = {
            "LD_LIBRARY_PATH": str(self.runtime),
            "HIP_RECORD_FILE": str(log),
            "HIP_RECORD_ARGUMENT_BYTES": str(argument_bytes),
            **(environment or {}),
        }
        text = json.dumps([_as_json(call) for call in calls])
        driver = ["-S", "-I", str(_HERE / "driver.py"), name, str(module)]
        driver += ["exchange"] if exchange else []
        answer = json.loads(proc.run([self.python, *driver], env=env, stdin=text.encode()))
        return Recorded(
            docs=answer["docs"],
            results=tuple(answer["results"]),
            launches=read_log(log) if log.exists() else (),
        )


def read_log(log: Path) -> tuple[LaunchRecord, ...]:
    """Read the launches that a recording runtime wrote down."""
    return tuple(_launch(json.loads(line)) for line in log.read_text().splitlines())


def _launch(raw: Mapping[str, Any]) -> LaunchRecord:
    return LaunchRecord(
        symbol=raw["symbol"],
        grid=(raw["grid"][0], raw["grid"][1], raw["grid"][2]),
        block=(raw["block"][0], raw["block"][1], raw["block"][2]),
        shared=raw["shared"],
        stream=raw["stream"],
        device=raw["device"],
        arguments=bytes.fromhex(raw["arguments"]),
        cleared=tuple(raw["cleared"]) if raw["cleared"][1] else None,
    )


def _as_json(call: Call) -> dict[str, Any]:
    return {
        "function": call.function,
        "args": list(call.args),
        "kwargs": dict(call.kwargs),
        "uncovered": call.uncovered,
        "warnings": call.warnings,
    }
