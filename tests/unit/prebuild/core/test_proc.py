from __future__ import annotations

import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from prebuild.core import proc


class _Child:
    """A process that prints nothing; holds the environment that it was given."""

    seen: dict[str, str]
    returncode = 0
    stdout: Any = b""

    def __init__(self, _argv: object, *, env: dict[str, str], **_: object) -> None:
        type(self).seen = env
        self.stdout = ()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self) -> int:
        return 0


def _run(_argv: object, *, env: dict[str, str], **_: object) -> SimpleNamespace:
    _Child.seen = env
    return SimpleNamespace(returncode=0, stdout=b"", stderr=b"")


@pytest.mark.parametrize(
    "start",
    [
        lambda: proc.run(["x"], env={"OWN": "1"}),
        lambda: proc.run_attached(["x"], env={"OWN": "1"}),
        lambda: proc.stream(["x"], print, env={"OWN": "1"}),
    ],
    ids=["run", "attached", "stream"],
)
def test_no_child_gets_what_a_compiler_reads_beside_its_command_line(
    start: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPATH", "/other/headers")
    monkeypatch.setattr(subprocess, "run", _run)
    monkeypatch.setattr(subprocess, "Popen", _Child)
    start()
    assert "CPATH" not in _Child.seen
    assert _Child.seen["OWN"] == "1"
    assert "PATH" in _Child.seen
