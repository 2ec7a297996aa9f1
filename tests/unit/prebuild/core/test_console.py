from __future__ import annotations

import io

import pytest
from rich.console import Console

from prebuild.core import console

TEXT = "recipes are not there:\n  - nope: no such recipe; there are kimi-k2.5-mxfp4, qwen3-235b-fp8"


def said(*, terminal: bool) -> list[str]:
    file = io.StringIO()
    to = Console(
        file=file,
        force_terminal=terminal,
        soft_wrap=True,
        highlight=False,
        width=40,
        _environ={"TERM": "xterm"},  # a dumb terminal has 80 columns, whatever is asked for
    )
    console.say(TEXT, to)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_terminal_s_lines_break_between_words() -> None:
    lines = said(terminal=True)
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(" ".join(lines).split()) == " ".join(TEXT.split())
    assert len(lines) > 2


def test_a_log_s_lines_stay_whole() -> None:
    assert said(terminal=False) == TEXT.splitlines()


def test_a_step_of_a_build_is_a_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "err", Console(force_terminal=False))
    with console.progress("compiling") as on_done:
        on_done(3, 14, "arguments")
    written = "".join(capsys.readouterr())
    assert "[3/14]" in written
    assert "arguments" in written
