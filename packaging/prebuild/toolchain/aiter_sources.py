"""The composable kernel that an AITER pins, in a checkout of it or in an installed package.

AITER keeps it as the submodule ``3rdparty/composable_kernel``, with the one header that CK's build
generates in ``3rdparty/ck_helper``; an installed AITER has both below ``aiter_meta``, a package of
its own beside ``aiter`` (ROCm/aiter, ``setup.py`` and ``aiter/jit/core.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prebuild.core.errors import CommandError, ToolchainError
from prebuild.core.git import git

THIRD_PARTY = Path("3rdparty")
SUBMODULE = THIRD_PARTY / "composable_kernel"
_CODEGEN = Path("csrc/ck_gemm_moe_2stages_codegen")
"""A folder that a checkout and ``aiter_meta`` both have."""


@dataclass(frozen=True, kw_only=True)
class AiterSources:
    """Where the sources of an AITER lie that it compiles."""

    root: Path
    """Holds ``csrc`` and ``3rdparty``: a checkout, or ``aiter_meta``."""
    package: Path
    """Its Python package, ``aiter``."""

    @property
    def ck_include(self) -> Path:
        """The folder above ``ck/``, whether it is there or not."""
        return self.root / SUBMODULE / "include"


def find_aiter(path: Path) -> AiterSources:
    """Return the sources of the AITER at ``path``; raises :class:`ToolchainError` where none is.

    ``path`` is a checkout, an installed package (``aiter`` or ``aiter_meta``), or the folder that
    holds both.
    """
    for root in (path, path / "aiter_meta", path.parent / "aiter_meta"):
        if (root / _CODEGEN).is_dir() or (root / SUBMODULE).is_dir():
            beside = root.parent if root.name == "aiter_meta" else root
            return AiterSources(root=root, package=beside / "aiter")
    raise ToolchainError(
        "no AITER where one was named; expected is a checkout, or the folder of an installed "
        "package (aiter or aiter_meta):",
        [f"{path} has neither {_CODEGEN} nor {SUBMODULE}, nor an aiter_meta with them"],
    )


def require_ck(found: AiterSources) -> Path:
    """Return the include folder of its composable kernel; raises :class:`ToolchainError`."""
    if (found.ck_include / "ck").is_dir():
        return found.ck_include
    missing = f"{found.ck_include / 'ck'} does not exist"
    if (found.root / ".git").exists():
        raise ToolchainError(
            "the AITER checkout lacks its submodule; run "
            f"`git -C {found.root} submodule update --init {SUBMODULE}`:",
            [missing],
        )
    raise ToolchainError(
        "this AITER came without its composable kernel; name a checkout that has it:",
        [missing],
    )


UNNAMED = ("an AITER checkout that git does not read", "an AITER without a version")


def origin(found: AiterSources) -> str:
    """Say which AITER it is: its tag and commit, or the version that was installed.

    One of :data:`UNNAMED` where nothing says it: git refuses another user's checkout, too.
    """
    if (found.root / ".git").exists():
        commit = described(found.root)
        if not commit:
            return UNNAMED[0]
        tag = _asked(found.root, "describe", "--tags", "--exact-match")
        return f"AITER {tag} (commit {commit})" if tag else f"AITER commit {commit}"
    marks = [*found.package.parent.glob("amd_aiter-*.dist-info")]
    marks += found.package.parent.glob("aiter-*.dist-info")
    versions = sorted(mark.name.removesuffix(".dist-info").partition("-")[2] for mark in marks)
    return f"AITER {versions[0]}, installed" if len(versions) == 1 else UNNAMED[1]


def is_certain(origin: str) -> bool:
    """Whether an :func:`origin` tells one AITER's sources from all others."""
    return origin not in UNNAMED and "-dirty" not in origin


def pinned_ck(checkout: Path) -> str:
    """Return the composable kernel commit that a checkout of AITER pins; '' where it pins none."""
    return _asked(checkout, "rev-parse", "--verify", "--quiet", f"HEAD:{SUBMODULE}")


def described(checkout: Path) -> str:
    """Return the commit of a git checkout, ``-dirty`` behind it where files changed; else ''.

    The checkout's own: not that of a repository that it lies in.
    """
    top = _asked(checkout, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != checkout.resolve():
        return ""
    return _asked(checkout, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")


def _asked(folder: Path, *arguments: str) -> str:
    """What git says, nothing where it fails."""
    try:
        return git(folder, *arguments)
    except CommandError:
        return ""
