from __future__ import annotations

import sys
import types

import pytest

from aiter_prebuilt import tools
from aiter_prebuilt.tools import cli, main


def test_the_command_line_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["aiter-prebuilt", "completion", "bash"])
    assert main.main() == cli.OK
    assert "complete" in capsys.readouterr().out


def test_damaged_code_is_an_error_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Damaged(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            if name.startswith("__"):
                raise AttributeError(name)
            raise SyntaxError("invalid syntax", (f"{name}.py", 7, 1, "def (", 7, 2))

    monkeypatch.delattr(tools, "cli")
    monkeypatch.delitem(sys.modules, "aiter_prebuilt.tools.cli")
    monkeypatch.setitem(sys.modules, "aiter_prebuilt.tools", Damaged("aiter_prebuilt.tools"))
    assert main.main() == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "cli.py" in line
    assert "invalid syntax" in line
    assert "reinstall" in line
