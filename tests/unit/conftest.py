"""Unit tests start no process."""

from __future__ import annotations

import os
import subprocess
from typing import NoReturn

import pytest
from hypothesis import settings

# Examples are bounded in number; a deadline for each would fail on a busy machine.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        pytest.fail("a unit test tried to start a process; it belongs into tests/integration")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "posix_spawnp", refuse)
