"""Room on the disk for a ROCm image: looked for before the pull, made on a hosted runner.

A pull that runs out of room dies in the middle with podman's words about one layer; this says
before it what there is and what is needed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from prebuild.core import proc
from prebuild.release.engine import ContainerError
from prebuild.release.matrix import Disk

_GB = 1e9


def make_room(disk: Disk, place: Path, *, hosted: bool, say: Callable[[str], None]) -> None:
    """See that ``place``, where images lie, has what a job needs.

    On a machine that was made for this job (``hosted``) what ``disk`` names is removed, one folder
    after the other, until there is enough; nothing is removed anywhere else.  Raises
    :class:`ContainerError` with the figures where there is not enough.
    """
    free = free_gb(place)
    say(f"{free:.1f} GB free where images lie ({place}), {disk.needs_gb} GB needed")
    removed = []
    for name in disk.removable if hosted else ():
        if free >= disk.needs_gb:
            break
        if Path(name).is_dir():
            proc.run(["sudo", "-n", "rm", "-rf", "--one-file-system", name])
            removed.append(name)
            free = free_gb(place)
            say(f"{free:.1f} GB free without {name}")
    if free < disk.needs_gb:
        went = f"{len(removed)} folders were removed for it" if removed else "nothing was removed"
        raise ContainerError(
            "a ROCm image does not fit on this disk; take a larger runner, move podman's storage "
            "to a larger disk (graphroot in storage.conf), or build without an image, with a ROCm "
            "that came by pip (docs/toolchain.md):",
            [f"{free:.1f} GB are free in {place}, {disk.needs_gb} GB are needed; {went}"],
        )


def free_gb(place: Path) -> float:
    """GB that an ordinary user can write at ``place``, or where it will be made."""
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return shutil.disk_usage(there).free / _GB
