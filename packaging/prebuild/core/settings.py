"""The build side's only reader of environment variables.

========================  =====================================================================
``PREBUILD_CACHE_DIR``    where the toolchain and the object cache live
                          (default ``$XDG_CACHE_HOME/aiter-prebuilt``, ``~/.cache/aiter-prebuilt``)
``PREBUILD_TOOLCHAIN``    ``auto`` (default), ``rocm`` or ``debian``
``PREBUILD_CODEGEN``      ``clang`` (default): passes and code generation are the compiler's own;
                          ``amd``: those of AMD's LLVM of a ROCm release, behind Debian's clang
``PREBUILD_DEBIAN_MIRROR``  Debian mirrors, separated by blanks, tried in turn
                          (default: those of the machine's own apt configuration)
``ROCM_PATH``             the ROCm installation to look at (default: ``/opt/rocm``, else one that
                          pip put into the build's own Python environment)
``PREBUILD_CK_INCLUDE``   the ``include`` folder of a composable kernel checkout, to use instead of
                          the toolchain's own headers
``PREBUILD_AITER``        an AITER checkout, an installed one or its ``aiter_meta``: the composable
                          kernel that it pins is used, as by ``PREBUILD_CK_INCLUDE``
``PREBUILD_CONTAINER``    ``name@sha256:...`` of the container that the build runs in; goes into the
                          build record (``prebuild container`` sets it)
``RUNNER_ENVIRONMENT``    ``github-hosted`` on a machine of GitHub's, which nobody uses afterwards
========================  =====================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from prebuild.core.errors import ProblemsError


class ToolchainChoice(StrEnum):
    """Which compiler to use: a ROCm installation, Debian's packages, or whichever is there."""

    AUTO = "auto"
    ROCM = "rocm"
    DEBIAN = "debian"


class CodegenChoice(StrEnum):
    """Whose passes and code generator make the kernels: the compiler's own, or AMD's LLVM."""

    CLANG = "clang"
    AMD = "amd"


_CHOICES: Mapping[str, type[StrEnum]] = {
    "PREBUILD_TOOLCHAIN": ToolchainChoice,
    "PREBUILD_CODEGEN": CodegenChoice,
}


class SettingsError(ProblemsError):
    """An environment variable holds a value that means nothing."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user's environment says; every path absolute."""

    cache_dir: Path
    toolchain: ToolchainChoice = ToolchainChoice.AUTO
    codegen: CodegenChoice = CodegenChoice.CLANG
    debian_mirrors: tuple[str, ...] = ()
    rocm_path: Path | None = None
    ck_include: Path | None = None
    aiter: Path | None = None
    container: str | None = None
    hosted: bool = False
    """Whether this is a machine of GitHub's, made for one job."""

    @classmethod
    def here(cls) -> Settings:
        """Read this process's environment; raises as :meth:`from_environ` does."""
        return cls.from_environ(os.environ)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the variables above; an empty one counts as unset.

        Raises :class:`SettingsError` with every wrong variable.
        """
        problems = [
            f"{variable} is {environ[variable]!r}; allowed: {', '.join(choices)}"
            for variable, choices in _CHOICES.items()
            if environ.get(variable) and environ[variable] not in list(choices)
        ]
        mirrors = tuple((environ.get("PREBUILD_DEBIAN_MIRROR") or "").split())
        problems += [
            f"PREBUILD_DEBIAN_MIRROR holds {mirror!r}; expected is a URI (https://...)"
            for mirror in mirrors
            if "://" not in mirror and not mirror.startswith("file:/")
        ]
        if environ.get("PREBUILD_CK_INCLUDE") and environ.get("PREBUILD_AITER"):
            problems.append(
                "PREBUILD_CK_INCLUDE and PREBUILD_AITER both name a composable kernel; set one"
            )
        if problems:
            raise SettingsError("the environment holds values that mean nothing:", problems)
        return cls(
            cache_dir=_cache_dir(environ),
            toolchain=ToolchainChoice(environ.get("PREBUILD_TOOLCHAIN") or ToolchainChoice.AUTO),
            codegen=CodegenChoice(environ.get("PREBUILD_CODEGEN") or CodegenChoice.CLANG),
            debian_mirrors=tuple(mirror.rstrip("/") for mirror in mirrors),
            rocm_path=_optional_path(environ.get("ROCM_PATH")),
            ck_include=_optional_path(environ.get("PREBUILD_CK_INCLUDE")),
            aiter=_optional_path(environ.get("PREBUILD_AITER")),
            container=environ.get("PREBUILD_CONTAINER") or None,
            hosted=environ.get("RUNNER_ENVIRONMENT") == "github-hosted",
        )


def _optional_path(text: str | None) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _cache_dir(environ: Mapping[str, str]) -> Path:
    if chosen := environ.get("PREBUILD_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    if base := environ.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "aiter-prebuilt"
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()).absolute() / ".cache" / "aiter-prebuilt"
