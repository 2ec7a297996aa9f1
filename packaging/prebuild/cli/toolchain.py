"""``prebuild toolchain``: set up, show and pin the gfx950 compiler."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from prebuild.core.settings import Settings
from prebuild.toolchain import extras, setup
from prebuild.toolchain.lock import COMPONENTS_FILE, LOCK_FILE, read_components
from prebuild.toolchain.model import Progress, Toolchain
from prebuild.toolchain.relock import relock
from prebuild.toolchain.sources import mirrors_of

app = typer.Typer(help="The GPU compiler: set up, show, pin.", no_args_is_help=True)

_PLAIN_SECONDS = 5.0


class PlainProgress:
    """One line a step, and one every few seconds while bytes arrive."""

    def __init__(self) -> None:
        self._total = 0
        self._said = 0.0

    def step(self, text: str, *, total: int = 0) -> None:
        """Print the step."""
        self._total, self._said = total, time.monotonic()
        size = f" ({total / 1e6:.0f} MB)" if total else ""
        print(f"toolchain: {text}{size}", file=sys.stderr, flush=True)

    def advance(self, done: int) -> None:
        """Print the share that is done, unless the last line is young."""
        if self._total and time.monotonic() - self._said > _PLAIN_SECONDS:
            self._said = time.monotonic()
            print(f"toolchain:   {100 * done / self._total:.0f} %", file=sys.stderr, flush=True)


class BarProgress:
    """A bar for each step on a terminal; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> BarProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._bars.stop()

    def step(self, text: str, *, total: int = 0) -> None:
        """Finish the bar before and begin another."""
        self._end()
        self._task = self._bars.add_task(text, total=total or None)

    def advance(self, done: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=done)

    def _end(self) -> None:
        if self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, total=task.total or 1, completed=task.total or 1)


@app.command()
def install(
    force: Annotated[
        bool, typer.Option("--force", help="Set it up anew, even if it is there.")
    ] = False,
) -> None:
    """Set the compiler up (a ROCm installation is used where it has all parts)."""
    started = time.monotonic()
    settings = Settings.here()
    console = Console(stderr=True)
    toolchain = _install(settings, console, force=force)
    seconds = time.monotonic() - started
    print(f"{toolchain.kind} toolchain in {toolchain.root} ({seconds:.0f} s)")


def _install(settings: Settings, console: Console, *, force: bool) -> Toolchain:
    if not console.is_terminal:
        progress: Progress = PlainProgress()
        return setup.install(settings, progress, force=force)
    with BarProgress(console) as bars:
        return setup.install(settings, bars, force=force)


@app.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print a versioned JSON object.")] = False,
) -> None:
    """Print what the compiler is and where its parts come from."""
    toolchain = setup.load(Settings.here())
    facts = describe(toolchain)
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    for key, value in facts.items():
        if key == "packages":
            print(f"{'packages':17} {len(value)}")
        elif key != "schema_version":
            print(f"{key:17} {' '.join(value) if isinstance(value, list) else value}")


def describe(toolchain: Toolchain) -> dict[str, Any]:
    """The facts of ``show --json``, schema version 1."""
    return {
        "schema_version": 1,
        "kind": toolchain.kind,
        "root": str(toolchain.root),
        "identity": toolchain.identity,
        "compiler_version": toolchain.compiler_version,
        "code_generator": toolchain.codegen.version if toolchain.codegen else None,
        "hip_version": toolchain.hip_version,
        "ck_version": toolchain.ck_version,
        "ck_origin": toolchain.ck_origin,
        "clangxx": str(toolchain.clangxx),
        "hip_flags": list(toolchain.hip_flags),
        "host_flags": list(toolchain.host_flags),
        "ck_include": str(toolchain.ck_include),
        "python_include": [str(folder) for folder in toolchain.python_include],
        "hip_runtime": str(toolchain.hip_runtime) if toolchain.hip_runtime else None,
        "packages": [
            {"name": part.name, "version": part.version, "sha256": part.sha256}
            for part in toolchain.packages
        ],
    }


@app.command()
def extra(
    name: Annotated[str, typer.Argument(help="rocthrust: what torch's headers include.")],
) -> None:
    """Fetch optional headers (where no ROCm installation has them), print their folder."""
    print(extras.install(Settings.here(), name, PlainProgress()))


@app.command()
def lock(
    only_extras: Annotated[
        bool, typer.Option("--extras", help="The optional packages instead: no identity changes.")
    ] = False,
) -> None:
    """Pin Debian's packages of today (writes the lock file beside the sources)."""
    source = extras.EXTRAS_FILE if only_extras else COMPONENTS_FILE
    target = extras.EXTRAS_LOCK if only_extras else LOCK_FILE
    made = relock(
        read_components(source),
        mirrors_of(Settings.here()),
        lambda text: print(f"lock: {text}", file=sys.stderr),
    )
    target.write_text(made.dumps(), encoding="utf-8")
    megabytes = sum(package.size for package in made.packages) / 1e6
    print(f"{target.name}: {len(made.packages)} packages, {megabytes:.0f} MB")


if __name__ == "__main__":  # an image sets the compiler up with nothing but this package
    app()
