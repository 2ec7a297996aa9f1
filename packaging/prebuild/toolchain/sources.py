"""The machine's own apt sources, and which Debian mirror they name.

Forms: ``sources.list`` lines and deb822 ``.sources`` files, as in sources.list(5).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings
from prebuild.toolchain.deb822 import paragraphs

APT_ETC = Path("/etc/apt")

# Code names and aliases of Debian's releases; another distribution's mirror has none of them.
DEBIAN_RELEASES = frozenset(
    [
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "experimental",
        "rc-buggy",
        "oldoldstable",
        "oldstable",
        "stable",
        "testing",
        "unstable",
    ]
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One enabled source of binary packages: ``uris`` times ``suites``."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]


def parse_one_line(text: str) -> Iterator[Source]:
    """Read a ``.list`` file: ``deb [option=value ...] URI suite [component ...]``."""
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip() or "#"
        kind, *others = line.split(maxsplit=1)
        if kind != "deb" or not others:
            continue
        rest = others[0]
        if rest.startswith("["):
            rest = rest.partition("]")[2]
        words = shlex.split(rest)
        if len(words) > 1:
            yield Source(uris=(words[0],), suites=(words[1],))


def parse_deb822(text: str) -> Iterator[Source]:
    """Read a ``.sources`` file, without stanzas that are disabled or hold source packages only."""
    for fields in paragraphs(text):
        enabled = fields.get("enabled", "yes").lower() not in {"no", "false", "0", "off", "without"}
        uris, suites = fields.get("uris", "").split(), fields.get("suites", "").split()
        if enabled and "deb" in fields.get("types", "").split() and uris and suites:
            yield Source(uris=tuple(uris), suites=tuple(suites))


def read_sources(etc: Path = APT_ETC) -> tuple[Source, ...]:
    """Every enabled source of the apt configuration in ``etc``, files that apt ignores left out."""
    found: list[Source] = []
    files = [etc / "sources.list"]
    parts = etc / "sources.list.d"
    if parts.is_dir():
        files += sorted(parts.iterdir())
    for file in files:
        if file.suffix == ".list" and file.is_file():
            found += parse_one_line(file.read_text(encoding="utf-8", errors="replace"))
        elif file.suffix == ".sources" and file.is_file():
            found += parse_deb822(file.read_text(encoding="utf-8", errors="replace"))
    return tuple(found)


def debian_mirrors(sources: Iterable[Source]) -> tuple[str, ...]:
    """The mirrors of Debian's own archive, in order, each once and without a trailing slash.

    A mirror counts where one of its suites is a Debian release (``bookworm``, not
    ``bookworm-security``, which is another archive).  ``mirror+file:`` lists are read.
    """
    found: dict[str, None] = {}
    for source in sources:
        if DEBIAN_RELEASES.isdisjoint(source.suites):
            continue
        for uri in source.uris:
            for real in _mirror_list(uri):
                found.setdefault(real.rstrip("/"))
    return tuple(found)


def mirrors_of(settings: Settings) -> tuple[str, ...]:
    """The mirrors to ask, from the settings or the machine's apt; raises where there is none."""
    mirrors = settings.debian_mirrors or debian_mirrors(read_sources())
    if not mirrors:
        raise ToolchainError(
            "no mirror of Debian is known:",
            ["the machine's apt sources name none; set PREBUILD_DEBIAN_MIRROR to one"],
        )
    return mirrors


def _mirror_list(uri: str) -> Iterator[str]:
    """``uri`` itself, or the entries of the file that a ``mirror+file:`` URI names."""
    if uri.startswith(("cdrom:", "cdrom+")):
        return
    if not uri.startswith("mirror+file:"):
        yield uri
        return
    file = Path("/" + uri.removeprefix("mirror+file:").lstrip("/"))
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield words[0]
