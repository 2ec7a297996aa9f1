"""Every release of AITER's repository: its tags, and what each one's tree says."""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prebuild.aiter.tree import FILES, AiterError, Tree, read
from prebuild.core import proc
from prebuild.core.errors import CommandError

_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:\.post(\d+))?")
_CK = "3rdparty/composable_kernel"
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
        return tuple(sorted(filter(_RELEASE.fullmatch, tags), key=_order))

    def read(self, tag: str) -> Tagged:
        """Read one tag's tree; raises AiterError where it has none."""
        try:
            commit, date = self._git("log", "-1", "--format=%H %cs", tag, "--").split()
        except (CommandError, ValueError) as error:
            raise AiterError("no such release:", [f"{self.git_dir} has no {tag}"]) from error
        submodule = self._git("ls-tree", tag, _CK).split()
        with tempfile.TemporaryDirectory() as folder:
            self._unpack(tag, Path(folder))
            tree = read(Path(folder))
        ck = submodule[2][:_DIGITS] if len(submodule) > 2 else ""  # noqa: PLR2004  mode type hash
        return Tagged(tag=tag, commit=commit, date=date, ck=ck, tree=tree)

    def _unpack(self, tag: str, folder: Path) -> None:
        there = list(self._present(tag))
        if not there:
            raise AiterError("no AITER:", [f"{tag} has none of {', '.join(FILES)}"])
        archive = proc.run(["git", f"--git-dir={self.git_dir}", "archive", tag, "--", *there])
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")

    def _present(self, tag: str) -> Iterator[str]:
        listed = self._git("ls-tree", "-r", "--name-only", tag, "--", *FILES).split("\n")
        for wanted in FILES:
            if any(name == wanted or name.startswith(f"{wanted}/") for name in listed):
                yield wanted

    def composable_kernel(self, commit: str) -> str:
        """Return the composable kernel commit, in full, that a commit of AITER pins.

        Raises AiterError where there is no such commit, or where it pins none.
        """
        try:
            _mode, _type, pinned, _path = self._git("ls-tree", commit, _CK).split()
        except (CommandError, ValueError) as error:
            raise AiterError("no pin:", [f"{self.git_dir} has no {_CK} at {commit}"]) from error
        return pinned

    def _git(self, *arguments: str) -> str:
        return proc.run(["git", f"--git-dir={self.git_dir}", *arguments]).decode()


def _order(tag: str) -> tuple[int, ...]:
    found = _RELEASE.fullmatch(tag)
    return tuple(int(part or 0) for part in found.groups()) if found else ()
