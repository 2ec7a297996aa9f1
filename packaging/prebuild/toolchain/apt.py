"""Debian's archive through apt's own programs, with a private state: no root, nothing installed.

The machine's proxies and the like (``Acquire::http``, ``Acquire::https``) stay in force; its
sources, its package lists and its dpkg status do not.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.core import proc
from prebuild.core.errors import CommandError, ToolchainError
from prebuild.toolchain.deb822 import paragraphs
from prebuild.toolchain.lock import LockedPackage

APT_HELPER = Path("/usr/lib/apt/apt-helper")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


_SHOWN = 6  # complaints of one kind that an error repeats


def require_tools(tools: Sequence[str]) -> None:
    """Raise one :class:`ToolchainError` that names every program the Debian route misses."""
    missing = [f"{tool} is not in PATH" for tool in tools if shutil.which(tool) is None]
    if not APT_HELPER.exists():
        missing.append(f"apt is not here ({APT_HELPER} does not exist)")
    if missing:
        raise ToolchainError(
            "Debian's packages cannot be fetched on this machine (a Debian or Ubuntu is expected, "
            "or a ROCm installation with composablekernel-dev and PREBUILD_TOOLCHAIN=rocm):",
            missing,
        )


@dataclass(frozen=True, kw_only=True)
class Apt:
    """apt with all of its state under ``root``; made by :meth:`create`."""

    root: Path
    config: Path

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        mirrors: Sequence[str] = (),
        suites: Sequence[str] = (),
        preferences: str = "",
    ) -> Apt:
        """Write a configuration for ``suites`` of ``mirrors`` and an empty dpkg status."""
        for part in (
            "etc/apt/apt.conf.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg",
        ):
            (root / part).mkdir(parents=True, exist_ok=True)
        etc = root / "etc" / "apt"
        status = root / "var" / "lib" / "dpkg" / "status"
        if not status.exists():
            status.touch()
        sources = "".join(
            f"Types: deb\nURIs: {mirror}\nSuites: {' '.join(suites)}\nComponents: main\n"
            f"Signed-By: {KEYRING}\n\n"
            for mirror in mirrors
        )
        (etc / "debian.sources").write_text(sources)
        (etc / "preferences").write_text(preferences)
        config = etc / "apt.conf"
        config.write_text(_config_text(root, _transport_settings()))
        return cls(root=root, config=config)

    def run(self, *command: str | Path) -> str:
        """Run one of apt's programs under this configuration and return its stdout."""
        return proc.run(command, env=self._env()).decode(errors="replace")

    def _env(self) -> Mapping[str, str]:
        return {"APT_CONFIG": str(self.config), "LC_ALL": "C.UTF-8"}

    def update(self) -> None:
        """Fetch the package lists; raises :class:`ToolchainError` where there are none."""
        if not KEYRING.exists():
            raise ToolchainError(
                "Debian's package lists cannot be checked:",
                [f"{KEYRING} does not exist; install the package debian-archive-keyring"],
            )
        # Without "any" apt-get calls a failed download a warning and goes on with no list.
        self.run("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")

    def candidates(self, names: Iterable[str]) -> dict[str, str]:
        """The version apt would take of each package that the archive holds."""
        text = self.run("apt-cache", "policy", *names)
        found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)$", text, re.MULTILINE)
        return {name: version for name, version in found if version != "(none)"}

    def assume(self, versions: Mapping[str, str]) -> None:
        """Make apt take these packages for installed, so that nothing asks for them."""
        stanzas = [
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
            f"Multi-Arch: allowed\nMaintainer: none\nDescription: assumed\nVersion: {version}\n"
            for name, version in sorted(versions.items())
        ]
        (self.root / "var" / "lib" / "dpkg" / "status").write_text("\n".join(stanzas))
        # The archive's record of the same version differs, and apt would "upgrade" to it.
        pin = f"Package: {' '.join(sorted(versions))}\nPin: release a=now\nPin-Priority: 1001\n"
        preferences = self.root / "etc" / "apt" / "preferences"
        preferences.write_text(f"{pin}\n{preferences.read_text()}")

    def resolve(self, roots: Iterable[str]) -> dict[str, str]:
        """Name and version of ``roots`` and all that they depend on and that is not assumed."""
        text = self.run("apt-get", "install", "--simulate", "-q", *roots)
        return dict(
            re.findall(r"^Inst (\S+?)(?::amd64)? (?:\[[^]]*\] )?\((\S+) ", text, re.MULTILINE)
        )

    def records(self, versions: Mapping[str, str]) -> list[dict[str, str]]:
        """The archive's record of each ``name=version``."""
        wanted = [f"{name}={version}" for name, version in sorted(versions.items())]
        return list(paragraphs(self.run("apt-cache", "show", "--no-all-versions", *wanted)))

    def download(self, jobs: Sequence[tuple[str, Path, str]]) -> str:
        """Fetch ``(URI, target, sha256)`` each; return apt's complaints, empty where there is none.

        apt-helper goes on after a file that fails, so that its exit code says only that some did.
        """
        triples = [
            part for uri, target, digest in jobs for part in (uri, target, f"SHA256:{digest}")
        ]
        try:
            self.run(APT_HELPER, "download-file", *triples)
        except CommandError as error:
            return complaints(error.output)
        return ""


def complaints(output: str) -> str:
    """The first few errors in apt's output, each once; of all lines where none is marked."""
    marked = [line for line in output.splitlines() if line.startswith("E: ")]
    lines = list(dict.fromkeys(marked)) or output.splitlines()
    more = [f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([*lines[:_SHOWN], *more])


def uri_of(mirror: str, package: LockedPackage) -> str:
    """Where ``mirror`` keeps ``package``."""
    return f"{mirror}/{package.filename}"


def _transport_settings() -> str:
    """The machine's proxies, timeouts and credentials, as apt.conf text."""
    dumped = proc.run(["apt-config", "dump"]).decode(errors="replace")
    wanted = [
        line for line in dumped.splitlines() if re.match(r"Acquire::(https?|Retries)\b", line)
    ]
    netrc = Path("/etc/apt/auth.conf")
    if os.access(netrc, os.R_OK):
        wanted.append(f'Dir::Etc::netrc "{netrc}";')
    return "\n".join(wanted)


def _config_text(root: Path, transport: str) -> str:
    # Frozen mirrors have Release files that are past their date; the hashes are what counts.
    lines = [
        f'Dir "{root}";',
        'Dir::Etc::sourcelist "/dev/null";',
        f'Dir::Etc::sourceparts "{root}/etc/apt";',
        f'Dir::Etc::preferences "{root}/etc/apt/preferences";',
        f'Dir::State::status "{root}/var/lib/dpkg/status";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Check-Date "false";',
        'Acquire::Languages "none";',
        'APT::Architecture "amd64";',
        'APT::Architectures "amd64";',
        'APT::Install-Recommends "false";',
    ]
    if os.geteuid() == 0:
        lines.append('APT::Sandbox::User "root";')  # apt's own user may not read the cache folder
    return "\n".join([*lines, transport, ""])
