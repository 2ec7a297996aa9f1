"""What ``doctor --pid`` sees of a running process: its settings, its AITER, what it has mapped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiter_prebuilt import settings
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import process
from aiter_prebuilt.values import value_class

_OURS = re.compile(r"/(aiter_prebuilt\w*)/modules/([^/]+?)(\.abi3)?\.so( \(deleted\))?$")
_CK2STAGES = re.compile(r"/(module_moe_ck2stages_[^/.]+)(\.[^/]*)?\.so( \(deleted\))?$")
_PACKAGES = re.compile(r"^(.*/(?:site|dist)-packages)/")
_AITER = re.compile(r"^(.*)/aiter/(?:jit|ops|dist|lib)/")


class ProcessError(PrebuiltError):
    """The process is not there, or may not be looked at."""


@value_class(frozen=True, kw_only=True)
class Running:
    """One process."""

    pid: int
    variables: Mapping[str, str]
    """Those that count, as it was started with: ``AITER_*``, and what hides GPUs."""
    asked: settings.Settings
    """The same, read."""
    visible: tuple[tuple[str, str], ...]
    """Those that hide GPUs."""
    aiter: str | None
    """The folder of the AITER package that it can use; None where no mapped file tells of one."""
    aiter_version: str | None
    served: tuple[str, ...]
    """Files of ours that it has mapped: these modules are served."""
    own: tuple[str, ...]
    """CK2stages modules of AITER's own that it has mapped."""


def look(pid: int, proc: Path = process.PROC) -> Running:
    """Return what can be seen; raises ProcessError."""
    try:
        env = process.environment(pid, proc)
        mapped = process.mapped_files(pid, proc)
    except FileNotFoundError as error:
        raise ProcessError(f"there is no process {pid}") from error
    except OSError as error:
        raise ProcessError(
            f"process {pid} cannot be looked at ({error.strerror}): ask as its user, or as root"
        ) from error
    ours = tuple(path for path in mapped if _OURS.search(path))
    root = _aiter_root(mapped, proc / str(pid) / "root")
    return Running(
        pid=pid,
        variables={
            name: value
            for name, value in sorted(env.items())
            if name.startswith("AITER_") or name in settings.VISIBLE
        },
        asked=settings.read(env),
        visible=settings.visible(env),
        aiter=root,
        aiter_version=contract.version_of(proc / str(pid) / f"root{root}") if root else None,
        served=ours,
        own=tuple(path for path in mapped if _CK2STAGES.search(path) and path not in ours),
    )


def _aiter_root(mapped: Sequence[str], inside: Path) -> str | None:
    """The package beside what is mapped; ``inside`` is the root folder as the process sees it."""
    folders = [match[1] for path in mapped if (match := _AITER.match(path))]
    folders += [match[1] for path in mapped if (match := _PACKAGES.match(path))]
    for folder in dict.fromkeys(folders):
        if Path(f"{inside}{folder}", "aiter", "__init__.py").is_file():
            return f"{folder}/aiter"
    return None
