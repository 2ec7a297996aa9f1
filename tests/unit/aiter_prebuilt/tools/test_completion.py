from __future__ import annotations

import pytest

from aiter_prebuilt.tools import cli, completion


def test_every_command_has_its_options() -> None:
    found = completion.options(cli._parser())
    assert {"list", "verify", "doctor", "explain", "seed", "selftest"} <= set(found)
    assert "--jit-dir" in found["seed"]
    assert "--json" in found["list"]
    assert not any(word.startswith("-h") for words in found.values() for word in words)
    assert set(completion.SHELLS) <= set(found["completion"])


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == cli.OK
    text = capsys.readouterr().out
    assert "complete -o default -F _aiter_prebuilt aiter-prebuilt" in text
    assert ("bashcompinit" in text) == (shell == "zsh")
