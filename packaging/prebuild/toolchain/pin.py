"""The composable kernel of a release: the one that an AITER pins, fetched by its hash.

``packaging/matrix.toml`` names both commits.  What is fetched has the layout of an AITER checkout,
so that it is used like any other (``PREBUILD_AITER``); of AITER itself it holds the one header that
composable kernel's build generates.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prebuild.core.errors import ToolchainError
from prebuild.core.git import git
from prebuild.toolchain.aiter_sources import SUBMODULE, THIRD_PARTY, pinned_ck

_KEPT_OF_AITER = (THIRD_PARTY / "ck_helper",)
_KEPT_OF_CK = (Path("include"), Path("library", "include"))


class Pinned(BaseModel):
    """A commit of a public repository; git's own hashes say that it is this one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str = Field(pattern=r"^(https://|file:///)")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")


class PinnedAiter(Pinned):
    """The AITER whose composable kernel it is."""

    release: str
    """As ``aiter_prebuilt/data/aiter.json`` calls it: its tag, or its commit's first digits."""


class Pin(BaseModel):
    """Both sections of ``matrix.toml``."""

    model_config = ConfigDict(frozen=True)

    aiter: PinnedAiter
    ck: Pinned

    @property
    def ck_version(self) -> str:
        """What a toolchain calls this composable kernel."""
        return f"commit {self.ck.commit}"


def read_pin(file: Path) -> Pin:
    """Read the pin of ``matrix.toml``; raises :class:`ToolchainError` where it is not valid."""
    try:
        return Pin.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ToolchainError(f"{file.name} names no composable kernel:", [str(error)]) from error


def raised(text: str, *, release: str, aiter_commit: str, ck_commit: str) -> str:
    """Return the text of ``matrix.toml`` with another AITER and its composable kernel in it."""
    for section, key, value in (
        ("aiter", "release", release),
        ("aiter", "commit", aiter_commit),
        ("ck", "commit", ck_commit),
    ):
        pattern = rf'(?ms)(^\[{section}\]$(?:(?!^\[).)*?^{key} = )"[^"\n]*"'
        text, count = re.subn(pattern, rf'\g<1>"{value}"', text, count=1)
        if count != 1:
            raise ToolchainError("matrix.toml cannot be raised:", [f"no {key} in [{section}]"])
    return text


def fetch(pin: Pin, folder: Path) -> None:
    """Put the pinned composable kernel and AITER's header for it into ``folder``.

    ``folder`` is then a sparse AITER checkout.  Raises :class:`ToolchainError` where that AITER
    pins another composable kernel, ``CommandError`` where git cannot fetch a commit.
    """
    _checkout(pin.aiter, folder, _KEPT_OF_AITER)
    found = pinned_ck(folder) or "none"
    if found != pin.ck.commit:
        raise ToolchainError(
            "matrix.toml names another composable kernel than its AITER pins; "
            "`prebuild pin AITER_REPOSITORY` puts that right:",
            [f"AITER {pin.aiter.release} pins {found}, matrix.toml has {pin.ck.commit}"],
        )
    _checkout(pin.ck, folder / SUBMODULE, _KEPT_OF_CK)


def _checkout(pinned: Pinned, folder: Path, kept: Sequence[Path]) -> None:
    """Fetch one commit without history, and of its files what is kept and what lies at the top."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", pinned.repository)
    git(folder, "sparse-checkout", "set", "--cone", *(str(name) for name in kept))
    git(folder, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", pinned.commit)
    git(folder, "checkout", "--quiet", "--detach", pinned.commit)
