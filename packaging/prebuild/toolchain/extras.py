"""Optional packages beside the toolchain: locked like it, but in folders of their own.

They are no part of its identity, which is in the key of every object: another lock of theirs
compiles nothing anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

from prebuild.core.errors import ToolchainError
from prebuild.core.lock import exclusive
from prebuild.core.settings import Settings, ToolchainChoice
from prebuild.toolchain.lock import Component, Lock, read_components, read_lock
from prebuild.toolchain.model import WAITING, Progress
from prebuild.toolchain.rocm import root_of
from prebuild.toolchain.setup import choose

EXTRAS_FILE = Path(__file__).with_name("extras.toml")
EXTRAS_LOCK = Path(__file__).with_name("extras.lock.json")
RELOCK = "prebuild toolchain lock --extras"

# The header that shows that an extra is there, and ROCm's packages that have it.
_HEADERS = {"rocthrust": "thrust/complex.h"}
_ROCM_PACKAGES = {"rocthrust": "rocthrust-dev, rocprim-dev"}


def include_of(settings: Settings, name: str) -> Path:
    """The folder of an extra's headers: a ROCm installation's own, or the one that was fetched.

    Raises :class:`ToolchainError` with what to do where it is not there.
    """
    component, lock = _read(name)
    rocm = choose(settings) is ToolchainChoice.ROCM
    folder = root_of(settings) / "include" if rocm else _include(_folder(settings, component, lock))
    header = folder / _HEADERS[name]
    if not header.is_file():
        todo = (
            f"install {_ROCM_PACKAGES[name]}" if rocm else f"run `prebuild toolchain extra {name}`"
        )
        raise ToolchainError(f"{name}'s headers are not there; {todo}:", [f"no {header}"])
    return folder


def install(settings: Settings, name: str, progress: Progress) -> Path:
    """Have an extra, return its headers' folder; in a ROCm installation it is only looked for."""
    if choose(settings) is not ToolchainChoice.ROCM:
        _fetch(settings, *_read(name), progress)
    return include_of(settings, name)


def _fetch(settings: Settings, component: Component, lock: Lock, progress: Progress) -> None:
    """Unpack the extra's packages into its folder, unless it is there; the rename comes last."""
    from prebuild.toolchain import unpack
    from prebuild.toolchain.apt import require_tools
    from prebuild.toolchain.fetch import fetch
    from prebuild.toolchain.sources import mirrors_of

    folder = _folder(settings, component, lock)
    with exclusive(folder.with_suffix(".lock"), partial(progress.step, WAITING)):
        if folder.exists():
            return
        require_tools(("apt-config", "dpkg-deb", "tar", "sh"))
        debs = settings.cache_dir / "downloads" / folder.name
        files = fetch(lock, debs, mirrors_of(settings), progress, relock=RELOCK)
        with tempfile.TemporaryDirectory(prefix=f".new-{folder.name}-", dir=folder.parent) as new:
            for package in lock.packages:
                unpack.extract(files[package.sha256], Path(new, "tree"), component, package.name)
            Path(new, "tree").rename(folder)
        shutil.rmtree(debs, ignore_errors=True)


def _read(name: str) -> tuple[Component, Lock]:
    """An extra's component, and the lock with its packages alone."""
    components, lock = read_components(EXTRAS_FILE), read_lock(EXTRAS_LOCK)
    known = {component.name: component for component in components}
    locked = [part for part in lock.components if part.name == name]
    if name not in known or not locked:
        raise ToolchainError(f"there is no extra {name!r}:", [f"there are {', '.join(known)}"])
    return known[name], lock.model_copy(update={"components": tuple(locked)})


def _folder(settings: Settings, component: Component, lock: Lock) -> Path:
    facts = [component.into, sorted(component.keep.items()), component.drop]
    facts += [(package.name, package.sha256) for package in lock.packages]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return settings.cache_dir / "toolchain" / f"extra-{component.name}-{digest[:16]}"


def _include(folder: Path) -> Path:
    return folder / "usr" / "include"
