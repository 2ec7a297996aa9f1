"""The ``prebuild`` command: a table of commands, each imported when it runs.

Half of what the commands import (numpy, cyclonedx, pyelftools) serves one of them, and cost every
start 0.3 CPU seconds; ``prebuild --help`` needs none of it.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from prebuild.core.errors import PrebuildError


@dataclass(frozen=True)
class Late:
    """Where a command is: a function, or a ``typer.Typer`` with commands of its own."""

    module: str
    attribute: str
    help: str
    """The first line of its own help, so that a list of commands imports none."""
    panel: str = "Build"
    """Under which heading the list has it."""

    def load(self) -> object:
        """Import it."""
        return getattr(import_module(self.module), self.attribute)


_AITER, _RELEASE = "Beside AITER", "Release"
COMMANDS = {
    "plan": Late(
        "prebuild.cli.plan", "plan", "Print modules, instances and kernels; nothing is built."
    ),
    "build": Late(
        "prebuild.cli.build", "build", "Compile, link and inspect the modules of recipes."
    ),
    "wheel": Late(
        "prebuild.cli.wheel",
        "wheel",
        "Build the wheel of some recipes: compile, run every kernel, pack, judge.",
    ),
    "report": Late(
        "prebuild.cli.report",
        "report",
        "Show a build's modules, slowest compiles, critical path, cache hits and registers.",
    ),
    "generators": Late(
        "prebuild.cli.generators",
        "command",
        "Set registers, spills, sizes and build times of two builds' kernels side by side.",
    ),
    "verify-kernels": Late(
        "prebuild.cli.verify",
        "verify_kernels",
        "Run the machine code of every kernel on a CPU and compare with an exact reference.",
    ),
    "compare-device": Late(
        "prebuild.cli.device",
        "command",
        "Run a device's selftest problems on the executor and compare the outputs bit by bit.",
    ),
    "bench": Late(
        "prebuild.cli.bench",
        "bench",
        "Compile instances four-in-one and split, build the issue's case cold and warm.",
    ),
    "toolchain": Late("prebuild.cli.toolchain", "app", "The GPU compiler: set up, show, pin."),
    "check": Late(
        "prebuild.cli.plan",
        "check",
        "Read recipes and plan them; print every problem of every file.",
    ),
    "draft": Late("prebuild.cli.draft", "draft", "Draft a recipe from a model's config.json."),
    "schema": Late("prebuild.cli.plan", "schema", "Print the JSON schema of recipe files."),
    "generate": Late("prebuild.cli.plan", "generate", "Write the sources of a plan's modules."),
    "shard": Late(
        "prebuild.cli.build",
        "shard_command",
        "Compile one part of a plan's units into the object cache (a CI matrix joins them).",
    ),
    "join": Late(
        "prebuild.cli.release",
        "join_command",
        "Join what the shards compiled (objects, costs) in this machine's cache.",
    ),
    "clean": Late(
        "prebuild.cli.build",
        "clean",
        "Remove build/; with --objects also the object cache (not the toolchain).",
    ),
    "import-tuned": Late(
        "prebuild.cli.tuned",
        "import_tuned",
        "Say what rows of AITER's tables ask of CK2stages, and where recipes differ from them.",
        panel=_AITER,
    ),
    "coverage": Late(
        "prebuild.cli.tuned",
        "coverage",
        "Say whether the recipes' plan answers each row of the tables and each heuristic call.",
        panel=_AITER,
    ),
    "aiter": Late(
        "prebuild.cli.aiter",
        "command",
        "Say which generation an AITER is of, what is new in it, and what it would be served.",
        panel=_AITER,
    ),
    "identity": Late(
        "prebuild.cli.identity",
        "command",
        "Compile AITER's generated sources and ours, say of each kernel whether it is the same.",
        panel=_AITER,
    ),
    "harvest": Late(
        "prebuild.cli.harvest",
        "command",
        "Pack modules that an installed AITER has compiled into a wheel.",
        panel=_AITER,
    ),
    "repro": Late(
        "prebuild.cli.repro", "app", "The two reproductions of ROCm/aiter#3566.", panel=_AITER
    ),
    "container": Late(
        "prebuild.cli.release", "container", "Build wheels in a container.", panel=_RELEASE
    ),
    "matrix": Late(
        "prebuild.cli.release", "matrix", "Print the jobs of the wheel workflow.", panel=_RELEASE
    ),
    "pin": Late(
        "prebuild.cli.release",
        "pin",
        "Pin the composable kernel of the newest AITER that is known, for the next release.",
        panel=_RELEASE,
    ),
    "room": Late(
        "prebuild.cli.release",
        "room",
        "See that a ROCm image fits on this disk; on a hosted runner make room for it.",
        panel=_RELEASE,
    ),
    "judge": Late(
        "prebuild.cli.release",
        "judge",
        "Judge finished wheels: symbols against real HIP runtimes, bytes, SBOM, abi3, size.",
        panel=_RELEASE,
    ),
    "smoke": Late(
        "prebuild.cli.release",
        "smoke_command",
        "Install wheels in clean environments of several CPythons, load what is in them.",
        panel=_RELEASE,
    ),
    "reproduce": Late(
        "prebuild.cli.release",
        "reproduce_command",
        "Build HEAD's wheel here and in a container, compare byte for byte.",
        panel=_RELEASE,
    ),
    "sums": Late("prebuild.cli.release", "sums", "Write SHA256SUMS beside wheels.", panel=_RELEASE),
    "release-version": Late(
        "prebuild.cli.release",
        "release_version",
        "Check that tag, version and CHANGELOG.md say the same.",
        panel=_RELEASE,
    ),
    "release-notes": Late(
        "prebuild.cli.release",
        "notes",
        "Print the newest section of CHANGELOG.md, for the release page.",
        panel=_RELEASE,
    ),
}


class LateGroup(TyperGroup):
    """Lists stand-ins; puts the real command in the place of the one that is to run."""

    def resolve_command(
        self,
        ctx: Any,  # noqa: ANN401  of click, or of the copy of click inside of typer
        args: list[str],
    ) -> tuple[str | None, Any, list[str]]:
        """Return name, command and the arguments left."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else stand_in, rest


def load(name: str) -> Any:  # noqa: ANN401
    """Import the command ``name`` and make typer's command of it."""
    found: Any = COMMANDS[name].load()
    holder = typer.Typer(add_completion=False)
    holder.callback()(_nothing)  # without one, typer would make the only command the program
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    group: Any = typer.main.get_command(holder)
    return group.commands[name]


def _nothing() -> None:
    """Stand in for a command that is only listed, or do nothing before one that runs."""


app = typer.Typer(
    cls=LateGroup,
    help="Plan, compile, inspect and pack prebuilt CK2stages modules.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _name, _late in COMMANDS.items():
    app.command(_name, help=_late.help, rich_help_panel=_late.panel)(_nothing)


def _show_version(asked: bool) -> None:
    if asked:
        from prebuild.core.project import Project
        from prebuild.wheel.version import project_version

        typer.echo(project_version(Project.here().root))
        raise typer.Exit


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False,
    version: Annotated[  # noqa: ARG001  its callback prints it
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Log every child process with --verbose."""
    if verbose:
        logging.basicConfig(level=logging.DEBUG, format="%(message)s", stream=sys.stderr)


_INTERRUPTED = "prebuild: interrupted; finished objects are kept, run it again to go on"


def main() -> None:
    """Run the command line; errors of ours are printed without a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        _run()
    except PrebuildError as error:
        _fail(error, error.exit_code)
    except OSError as error:
        if error.strerror is None:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        _fail(PrebuildError(f"{where}{error.strerror}"), PrebuildError.exit_code)
    except KeyboardInterrupt:
        _tell(_INTERRUPTED)
        sys.exit(130)
    except SystemExit as left:
        if left.code == 130:  # noqa: PLR2004  typer's, which says nothing for an interrupt
            _tell(_INTERRUPTED)
        raise


def _run() -> None:
    """Run the command; where it answers in JSON, a wrong command line is an error of ours."""
    if "--json" not in sys.argv:
        app()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except Exception as error:
        wrong_usage = getattr(error, "format_message", None)  # click's, or typer's copy of click's
        if wrong_usage is None:
            raise
        raise UsageError(wrong_usage()) from error


class UsageError(PrebuildError):
    """The command line is wrong."""

    exit_code = 2


def _fail(error: PrebuildError, code: int) -> NoReturn:
    """Say an error in words, and as JSON where the command answers in JSON; leave with ``code``."""
    if "--json" in sys.argv:
        found = {"kind": type(error).__name__, "message": str(error), "exit_code": code}
        print(json.dumps({"error": found}, indent=1))
    _tell(f"prebuild: {error}")
    sys.exit(code)


def _terminated(*_: object) -> NoReturn:
    """End as after an interrupt, so that temporary folders are removed on the way."""
    raise KeyboardInterrupt


def _tell(text: str) -> None:
    from prebuild.core import console

    console.say(text, console.err)
