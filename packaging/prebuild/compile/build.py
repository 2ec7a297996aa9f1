"""Compile what the cache does not have: one ninja file, longest first, within memory.

The objects are content-addressed, so a unit whose object exists has no edge at all; an interrupted
build goes on where it stopped.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ninja
from ninja.ninja_syntax import Writer, escape

from prebuild.compile.commands import device_compiler
from prebuild.compile.compiler_cache import Launcher, find_launcher
from prebuild.compile.costs import Cost, CostBook, longest_first
from prebuild.compile.memory import available_bytes, job_count
from prebuild.compile.units import Unit, closure
from prebuild.core import proc
from prebuild.core.errors import ProblemsError
from prebuild.core.model import OnDone
from prebuild.toolchain import Toolchain

_STATUS = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")
_MEASURE = Path(__file__).with_name("measure.py")

# Transparent huge pages for the compiler's heap: fewer page faults and TLB misses in a process
# that touches 1 to 3 GB; docs/compile-time.md has the figures.
COMPILER_ENV = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


class CompileError(ProblemsError):
    """At least one unit did not compile; carries the compiler's output."""

    exit_code = 5


@dataclass(frozen=True, kw_only=True)
class CompileResult:
    """What a compile step did."""

    compiled: tuple[Unit, ...]
    cached: tuple[Unit, ...]
    jobs: int
    ninja_log: Path


def compile_units(
    units: Sequence[Unit],
    *,
    toolchain: Toolchain,
    work: Path,
    book: CostBook,
    launcher: str | None = None,
    jobs: int | None = None,
    on_done: OnDone = lambda _finished, _total, _unit: None,
) -> CompileResult:
    """Make every unit's object; ``work`` holds ``build.ninja``, ``.ninja_log`` and the costs.

    ``launcher`` is put before each compiler command (ccache, sccache).  Raises
    :class:`CompileError` with the output of each unit that failed, or where a source is no longer
    the one of its key.
    """
    unique = {unit.key: unit for unit in units}
    missing = longest_first([unit for unit in unique.values() if not unit.object.is_file()], book)
    cached = tuple(unit for unit in unique.values() if unit.object.is_file())
    costs = work / "costs"
    costs.mkdir(parents=True, exist_ok=True)
    peaks = [book.of(unit).peak_bytes for unit in missing]
    count = jobs or job_count(peaks, available=available_bytes())
    if missing:
        through = _launcher(launcher, missing[0], work, toolchain)
        text = ninja_file(missing, toolchain=toolchain, costs=costs, launcher=through)
        (work / "build.ninja").write_text(text)
        try:
            _run_ninja(work, count, on_done)
        finally:  # of a build that failed or was interrupted, too: its objects are not made again
            changed = _drop_changed(missing)
            book.record(_made(missing, costs))
        if changed:
            raise CompileError("sources changed while they were compiled; run it again:", changed)
    return CompileResult(
        compiled=tuple(missing), cached=cached, jobs=count, ninja_log=work / ".ninja_log"
    )


def ninja_file(
    units: Sequence[Unit], *, toolchain: Toolchain, costs: Path, launcher: Launcher | None
) -> str:
    """Return the text of ``build.ninja``: one edge a unit, in the order given."""
    buffer = io.StringIO()
    writer = Writer(buffer, width=120)  # type: ignore[arg-type]
    writer.comment("Written by prebuild; edges stand longest first.")
    writer.rule("compile", command="$command", description="$unit")
    for unit in units:
        writer.build(
            [escape(str(unit.object))],
            "compile",
            [escape(str(unit.source))],
            variables={
                "command": escape(shlex.join(command(unit, toolchain, costs, launcher))),
                "unit": escape(unit.id),
            },
        )
    return buffer.getvalue()


def command(
    unit: Unit, toolchain: Toolchain, costs: Path, launcher: Launcher | None = None
) -> list[str]:
    """Return the whole command of a unit's edge."""
    variables = {**COMPILER_ENV, **toolchain.env, **(launcher.env if launcher else {})}
    compiler = [*compiler_command(unit, toolchain), "-o", str(unit.object)]
    if unit.kind == "kernel" and toolchain.codegen is not None:
        launcher = None  # it knows compilers only
    return [
        *("env", *(("-C", str(launcher.folder)) if launcher else ())),
        *(f"{name}={value}" for name, value in variables.items()),
        *(sys.executable, "-S", str(_MEASURE), str(costs / f"{unit.id}.json")),
        *(launcher.command(compiler) if launcher else compiler),
    ]


def compiler_command(unit: Unit, toolchain: Toolchain) -> list[str]:
    """Return the compiler's own command, without output file and wrappers."""
    found = toolchain.hip_flags if unit.kind != "host" else toolchain.host_flags
    python = [part for path in toolchain.python_include for part in ("-isystem", str(path))]
    kernel = unit.kind == "kernel"
    return [
        *(device_compiler(toolchain) if kernel else [str(toolchain.clangxx)]),
        *found,
        *unit.flags,
        *(f"-I{path}" for path in unit.include),
        *(python if unit.kind == "host" else ()),
        *("-c", str(unit.source)),
    ]


def read_costs(costs: Path) -> Mapping[str, Mapping[str, float]]:
    """Return unit id -> began, seconds, cpu_seconds and peak_bytes of a work folder's compiles."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(costs.glob("*.json"))}


def _launcher(program: str | None, unit: Unit, work: Path, toolchain: Toolchain) -> Launcher | None:
    if program is None:
        return None
    found = find_launcher(program, work=work, csrc=unit.include[-1], toolchain=toolchain)
    found.link()
    return found


def _run_ninja(work: Path, jobs: int, on_done: OnDone) -> None:
    other: list[str] = []

    def on_line(line: str) -> None:
        match = _STATUS.match(line)
        if match:
            on_done(int(match[1]), int(match[2]), match[3])
        else:
            other.append(line)

    program = Path(ninja.BIN_DIR) / "ninja"
    # Keep going: all compile errors of a build at once.
    options = ["-j", str(jobs), "-k", "0"]
    code = proc.stream([program, "-C", work, *options], on_line, env={"NINJA_STATUS": "[%f/%t] "})
    if code != 0:
        raise CompileError(f"compiling failed (ninja exit code {code}):", other[1:])


def _drop_changed(units: Sequence[Unit]) -> list[str]:
    """Remove objects whose source was edited meanwhile: they would stand for the text before it."""
    changed = [unit for unit in units if not _is_as_planned(unit)]
    for unit in changed:
        unit.object.unlink(missing_ok=True)
    return [f"{unit.id} ({unit.source})" for unit in changed]


def _is_as_planned(unit: Unit) -> bool:
    try:
        return closure(unit.source, unit.include) == unit.sources
    except OSError:
        return False


def _made(units: Sequence[Unit], costs: Path) -> dict[str, Cost]:
    """What the units cost whose objects are there now."""
    notes = {unit.id: costs / f"{unit.id}.json" for unit in units if unit.object.is_file()}
    return {name: _read_cost(note) for name, note in notes.items() if note.is_file()}


def _read_cost(file: Path) -> Cost:
    raw = json.loads(file.read_text())
    return Cost(seconds=raw["seconds"], peak_bytes=raw["peak_bytes"])
