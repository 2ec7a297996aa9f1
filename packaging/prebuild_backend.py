"""The in-tree PEP 517 backend: the build tool makes the modules, hatchling packs them.

Kept light, because a front end imports it before the build's own requirements are installed.
``python -m build --wheel -C recipe=NAME [-C tp=1,2] [-C coverage=full]`` chooses what is built.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from hatchling.build import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
)
from hatchling.build import build_wheel as pack_wheel

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

Settings = Mapping[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:  # noqa: ARG001
    """The build tool's own dependencies, listed once, in packaging/pyproject.toml."""
    text = Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8")
    requirements: list[str] = tomllib.loads(text)["project"]["dependencies"]
    return requirements


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,  # noqa: ARG001  the tag is known after the build only
) -> str:
    """Compile the recipes' modules, pack them, let the judges conclude the tags."""
    # For aiter_prebuilt, where nothing is installed.  Last, and not in backend-path: the folder
    # packaging/ beside it would hide the distribution of that name, which hatchling needs.
    sys.path.append(str(Path(__file__).parents[1]))
    # For the processes that verify kernels: front ends import this file by a finder of their own,
    # which a spawned process does not have.
    sys.path.append(str(Path(__file__).parent))
    from prebuild.core.project import Project
    from prebuild.pipeline.build import exclusively
    from prebuild.pipeline.wheel import finish_wheel, prepare_wheel
    from prebuild.wheel.config import parse_config

    with _tidy_end(), exclusively(Project.here().build):
        prepared = prepare_wheel(parse_config(config_settings or {}))
        os.environ["SOURCE_DATE_EPOCH"] = str(prepared.epoch)
        os.environ["PREBUILD_WHEEL_VERSION"] = prepared.version
        with tempfile.TemporaryDirectory() as scratch:
            packed = Path(scratch) / pack_wheel(scratch)
            return finish_wheel(packed, Path(wheel_directory), prepared).name


@contextlib.contextmanager
def _tidy_end() -> Iterator[None]:
    """Let SIGTERM end a build as an interrupt does, so that temporary folders go.

    A front end runs this file in a process of its own, which else would die where it stands.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal comes here
        return
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(*_: object) -> NoReturn:
    raise KeyboardInterrupt
