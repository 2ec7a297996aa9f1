"""Run the kernels of a wheel, a build folder or a module, and stop where one is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Required, TypedDict, Unpack

from prebuild.core import console
from prebuild.core.settings import Settings
from prebuild.recording import Recorder, build_runtime
from prebuild.toolchain import load as load_toolchain
from prebuild.verify import report
from prebuild.verify.census import as_toml, census
from prebuild.verify.errors import NoKernelError, UnknownKernelError, VerificationError
from prebuild.verify.source import collect, opened
from prebuild.verify.verdict import Verdict
from prebuild.verify.verify import verify


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What came of the kernels of a file."""

    verdicts: tuple[Verdict, ...]
    unknown: tuple[str, ...]
    """Symbols of kernels that were not run: no problem is known for them."""


class Options(TypedDict, total=False):
    """The options of :func:`examine`."""

    settings: Required[Settings]
    objdump: Path | None
    jobs: int | None
    only: str
    fresh: bool


def run(path: Path, *, failures: Path | None = None, **options: Unpack[Options]) -> list[Verdict]:
    """Verify the kernels below ``path`` and stop where one is wrong or could not be run.

    Raises :class:`VerificationError` with every such kernel, after a file for each that is wrong
    has been written to ``failures``.
    """
    examined = examine(path, **options)
    if wrong := problems(examined, failures):
        raise VerificationError("kernels that are wrong or could not be run:", wrong)
    return list(examined.verdicts)


def examine(
    path: Path,
    *,
    settings: Settings,
    objdump: Path | None = None,
    jobs: int | None = None,
    only: str = "",
    fresh: bool = False,
) -> Examined:
    """Run the kernels below ``path`` whose name holds ``only``; print and return what came of it.

    With ``objdump`` given no toolchain is needed, and launches are derived, not recorded.  Raises
    :class:`NoKernelError` where no name holds ``only``.
    """
    with opened(path) as place, TemporaryDirectory() as scratch:
        recorder, tool = None, objdump
        if tool is None:
            toolchain = load_toolchain(settings)
            tool = toolchain.tool("llvm-objdump")
            recorder = Recorder(runtime=build_runtime(toolchain, Path(scratch)))
        with console.progress("recording launches") as on_done:
            found = collect(place, recorder, on_done)
        subjects = [subject for subject in found.subjects if only in subject.facts.name()]
        # A symbol without facts has no name of ours: ``only`` is looked for in the symbol.
        unknown = tuple(symbol for symbol in found.unknown if only in symbol)
        if not subjects and not unknown:
            raise NoKernelError(f"{path} holds no kernel with {only!r} in its name")
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
    if unknown:
        console.err.print(
            f"[red]{len(unknown)} kernels were not run: no problem is known for them[/]"
        )
    return Examined(verdicts=tuple(verdicts), unknown=unknown)


def mnemonics(path: Path, *, settings: Settings, objdump: Path | None = None) -> str:
    """Return which instructions occur in the kernels below ``path``, as TOML; nothing is run."""
    tool = objdump or load_toolchain(settings).tool("llvm-objdump")
    with opened(path) as place:
        subjects = collect(place).subjects
        return as_toml(census(subjects, tool), len(subjects))


def problems(examined: Examined, failures: Path | None = None) -> list[str]:
    """Return a line for each kernel that is wrong or could not be run.

    What is wrong with a kernel is written in full to a file below ``failures``.
    """
    written = report.write_failures(examined.verdicts, failures or Path("verify-failures"))
    wrong = [verdict for verdict in examined.verdicts if not verdict.ok]
    found = [
        f"{verdict.kernel}: {verdict.failure.splitlines()[0]} ({path})"
        for verdict, path in zip(wrong, written, strict=True)
    ]
    return [*found, *(str(UnknownKernelError(symbol)) for symbol in examined.unknown)]
