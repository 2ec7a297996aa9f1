"""``prebuild verify-kernels``: run every kernel of a wheel or a build and judge its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Required, TypedDict, Unpack

import typer

from prebuild import console
from prebuild.recording import Recorder, build_runtime
from prebuild.settings import Settings
from prebuild.toolchain import load as load_toolchain
from prebuild.verify import report
from prebuild.verify.errors import VerificationError
from prebuild.verify.source import collect, opened
from prebuild.verify.verdict import Verdict
from prebuild.verify.verify import verify

SCHEMA_VERSION = 1


class Options(TypedDict, total=False):
    """The options of :func:`examine`."""

    settings: Required[Settings]
    objdump: Path | None
    jobs: int | None
    only: str
    fresh: bool


def run(path: Path, *, failures: Path | None = None, **options: Unpack[Options]) -> list[Verdict]:
    """Verify the kernels below ``path`` and stop where one is wrong.

    Raises :class:`VerificationError` with every kernel that is wrong, after a file for each has
    been written to ``failures``.
    """
    verdicts = examine(path, **options)
    _raise_if_wrong(verdicts, failures or Path("verify-failures"))
    return verdicts


def examine(
    path: Path,
    *,
    settings: Settings,
    objdump: Path | None = None,
    jobs: int | None = None,
    only: str = "",
    fresh: bool = False,
) -> list[Verdict]:
    """Run the kernels below ``path`` whose name holds ``only``, print and return the verdicts.

    With ``objdump`` given no toolchain is needed, and launches are derived, not recorded.
    """
    with opened(path) as place, TemporaryDirectory() as scratch:
        recorder, tool = None, objdump
        if tool is None:
            toolchain = load_toolchain(settings)
            tool = toolchain.tool("llvm-objdump")
            recorder = Recorder(runtime=build_runtime(toolchain, Path(scratch)))
        found = collect(place, recorder)
        subjects = [subject for subject in found.subjects if only in subject.facts.name()]
        with console.progress("running kernels") as on_done:
            verdicts = verify(
                subjects,
                objdump=tool,
                cache=None if fresh else settings.cache_dir / "verified",
                jobs=jobs,
                on_done=on_done,
            )
    console.err.print(report.table(verdicts))
    figures = report.summarise(verdicts)
    console.err.print(
        f"{figures.kernels} kernels ({figures.cached} from the cache), {figures.wrong} wrong;"
        f" {figures.instructions:,} instructions of {figures.opcodes} kinds,"
        f" {figures.elements:,} elements, largest error {figures.max_error:.3f} of its bound"
    )
    if found.unknown:
        console.err.print(
            f"[yellow]{len(found.unknown)} kernels were not run: no problem is known for them[/]"
        )
    return verdicts


def _raise_if_wrong(verdicts: list[Verdict], directory: Path) -> None:
    written = report.write_failures(verdicts, directory)
    if written:
        wrong = [verdict for verdict in verdicts if not verdict.ok]
        raise VerificationError(
            "kernels whose numbers are wrong:",
            [
                f"{verdict.kernel}: {verdict.failure.splitlines()[0]} ({path})"
                for verdict, path in zip(wrong, written, strict=True)
            ],
        )


def verify_kernels(
    path: Annotated[Path, typer.Argument(help="A wheel, a build folder, a module (.so) or a .co.")],
    objdump: Annotated[
        Path | None, typer.Option(help="llvm-objdump with gfx950; default: the toolchain's.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes; default: one a core.")] = None,
    only: Annotated[str, typer.Option(help="Only kernels whose name holds this text.")] = "",
    failures: Annotated[
        Path, typer.Option(help="Where to write what is wrong with a kernel.")
    ] = Path("verify-failures"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Run what the cache knows, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Run the machine code of every kernel on a CPU and compare with an exact reference."""
    import os

    settings = Settings.from_environ(os.environ)
    verdicts = run(
        path,
        settings=settings,
        objdump=objdump,
        jobs=jobs,
        only=only,
        failures=failures,
        fresh=fresh,
    )
    if as_json:
        content = {
            "schema": SCHEMA_VERSION,
            "kernels": [verdict.to_json() for verdict in verdicts],
        }
        typer.echo(json.dumps(content, indent=1, sort_keys=True))
