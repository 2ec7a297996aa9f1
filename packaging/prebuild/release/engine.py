"""podman, as far as releases need it: images, runs, and the machine's peculiarities."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.core import proc
from prebuild.core.errors import CommandError, ProblemsError

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_CAP_SYS_RESOURCE = 24
_STATUS = Path("/proc/self/status")


class ContainerError(ProblemsError):
    """No container can be built or run on this machine, or one of its commands failed."""

    exit_code = 7


@dataclass(frozen=True, kw_only=True)
class Engine:
    """podman with the configuration that this machine needs."""

    environment: Mapping[str, str]

    @classmethod
    def find(cls, configuration: Path) -> Engine:
        """podman of this machine; raises :class:`ContainerError` where a program is missing."""
        reduced = not may_raise_limits(_STATUS.read_text(encoding="utf-8"))
        require(["podman", "runc"] if reduced else ["podman"])
        return cls(environment={"CONTAINERS_CONF": str(configuration)} if reduced else {})

    def run(self, *arguments: str | Path) -> str:
        """Run a podman command and return its stdout."""
        return proc.run(["podman", *arguments], env=self.environment).decode()

    def attached(self, *arguments: str | Path, cwd: Path | None = None) -> None:
        """Run a podman command on this terminal; raises :class:`ContainerError` if it fails."""
        code = proc.run_attached(["podman", *arguments], cwd=cwd, env=self.environment)
        if code != 0:
            raise ContainerError(f"podman {arguments[0]} failed:", [f"exit code {code}"])

    def has(self, image: str) -> bool:
        """Whether an image is here."""
        try:
            self.run("image", "exists", image)
        except CommandError:
            return False
        return True

    def image_folder(self) -> Path:
        """Where images are unpacked."""
        return Path(self.run("info", "--format", "{{.Store.GraphRoot}}").strip())

    def digest(self, image: str) -> str:
        """``sha256:...`` that names an image's content; raises where it is not here."""
        if not self.has(image):
            raise ContainerError(
                f"there is no image {image}; `make container` builds the local one, "
                "`podman pull` fetches another:",
                [f"podman image exists {image} says no"],
            )
        return self.run("image", "inspect", "--format", "{{.Digest}}", image).strip()


def require(programs: Sequence[str]) -> None:
    """Raise one :class:`ContainerError` that names every program that is not there."""
    missing = [f"{name} is not in PATH" for name in programs if shutil.which(name) is None]
    if missing:
        raise ContainerError(
            "containers need programs that are not here; as root `make release-tools` installs "
            "them from Debian's packages:",
            missing,
        )


def may_raise_limits(status: str) -> bool:
    """Whether a process with this ``/proc/PID/status`` has CAP_SYS_RESOURCE, or is not root.

    A rootless podman runs in a user namespace of its own, where the question does not arise.
    """
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if fields["Uid"].split()[1] != "0":
        return True
    return bool(int(fields["CapEff"], 16) >> _CAP_SYS_RESOURCE & 1)


def network_arguments() -> list[str]:
    """The machine's own network and certificates: what it reaches, the container reaches."""
    found = ["--network=host"]
    if CA_BUNDLE.is_file():
        found.append(f"--volume={CA_BUNDLE}:{CA_BUNDLE}:ro")
    return found
