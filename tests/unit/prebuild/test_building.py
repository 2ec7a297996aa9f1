from __future__ import annotations

import pytest
from typer.testing import CliRunner

from prebuild import cli

runner = CliRunner()


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_wrong_shard_is_refused(part: str) -> None:
    done = runner.invoke(cli.app, ["shard", part, "--dry-run"])
    assert done.exit_code == 2


def test_a_shard_takes_every_narrowing_of_a_build() -> None:
    """It has to compile what the wheel's build looks for, so both read the same options."""
    for command in ("build", "shard"):
        shown = runner.invoke(cli.app, [command, "--help"]).stdout
        for option in ("--tp", "--block-m", "--coverage"):
            assert option in shown, command
