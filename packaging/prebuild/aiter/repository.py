"""Every release of AITER's repository: its tags, and what each one's tree says."""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.aiter.tree import FILES, AiterError, Tree, read
from prebuild.core import proc
from prebuild.core.errors import CommandError
from prebuild.toolchain.aiter_sources import SUBMODULE

_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:\.post(\d+))?")
_CONFIGS = "aiter/configs"
_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A release, or a commit, with its tree."""

    tag: str
    commit: str
    date: str
    """Of the commit."""
    ck: str
    """The composable kernel commit that it pins, eight digits."""
    tree: Tree


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A checkout of AITER with its history, or a bare mirror."""

    git_dir: Path

    @classmethod
    def at(cls, path: Path) -> Repository:
        """The repository at ``path``; raises AiterError where git knows none."""
        for folder in (path / ".git", path):
            if (folder / "HEAD").is_file() or folder.is_file():
                return cls(git_dir=folder)
        raise AiterError("no repository:", [f"{path} holds neither .git nor a bare repository"])

    def releases(self) -> tuple[str, ...]:
        """The tags that are releases, oldest version first; candidates and nightlies are none."""
        tags = self._git("tag", "--list", "v*").split()
        return tuple(sorted(filter(_RELEASE.fullmatch, tags), key=version))

    def read(self, tag: str) -> Tagged:
        """Read one tag's tree; raises AiterError where it has none."""
        try:
            commit, date = self._git("log", "-1", "--format=%H %cs", tag, "--").split()
        except (CommandError, ValueError) as error:
            raise AiterError("no such release:", [f"{self.git_dir} has no {tag}"]) from error
        there = list(self._present(tag))
        if not there:
            raise AiterError("no AITER:", [f"{tag} has none of {', '.join(FILES)}"])
        with self._unpacked(tag, there) as folder:
            tree = read(folder)
        ck = self._pinned(tag)[:_DIGITS]
        return Tagged(tag=tag, commit=commit, date=date, ck=ck, tree=tree)

    @contextlib.contextmanager
    def tables(self, tag: str) -> Iterator[Path]:
        """The ``aiter/configs`` of a tag, with its tuned fMoE tables alone, for a while."""
        listed = self._git("ls-tree", "-r", "--name-only", tag, "--", _CONFIGS).split("\n")
        with self._unpacked(tag, [name for name in listed if "tuned_fmoe" in name]) as folder:
            yield folder / _CONFIGS

    @contextlib.contextmanager
    def _unpacked(self, tag: str, names: Sequence[str]) -> Iterator[Path]:
        """Files of a tag in a folder of their own; an archive of no names would hold all."""
        with tempfile.TemporaryDirectory() as folder:
            if names:
                command = ["git", f"--git-dir={self.git_dir}", "archive", tag, "--", *names]
                with tarfile.open(fileobj=io.BytesIO(proc.run(command))) as tar:
                    tar.extractall(folder, filter="data")
            yield Path(folder)

    def _present(self, tag: str) -> Iterator[str]:
        listed = self._git("ls-tree", "-r", "--name-only", tag, "--", *FILES).split("\n")
        for wanted in FILES:
            if any(name == wanted or name.startswith(f"{wanted}/") for name in listed):
                yield wanted

    def composable_kernel(self, commit: str) -> str:
        """Return the composable kernel commit, in full, that a commit of AITER pins.

        Raises AiterError where there is no such commit, or where it pins none.
        """
        pinned = self._pinned(commit)
        if not pinned:
            raise AiterError("no pin:", [f"{self.git_dir} has no {SUBMODULE} at {commit}"])
        return pinned

    def _pinned(self, commit: str) -> str:
        """The commit of the submodule, empty where there is none."""
        try:
            return self._git("rev-parse", "--verify", "--quiet", f"{commit}:{SUBMODULE}").strip()
        except CommandError:
            return ""

    def _git(self, *arguments: str) -> str:
        return proc.run(["git", f"--git-dir={self.git_dir}", *arguments]).decode()


def version(tag: str) -> tuple[int, ...]:
    """The numbers of a release's tag, empty for a commit."""
    found = _RELEASE.fullmatch(tag)
    return tuple(int(part or 0) for part in found.groups()) if found else ()
