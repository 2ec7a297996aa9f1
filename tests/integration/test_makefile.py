"""What make says to a person who slips; nothing is built."""

from __future__ import annotations

import subprocess

import pytest

from tests.unit.prebuild.samples import PROJECT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=PROJECT.root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("slip", ["recipe=kimi-k2.5-mxfp4", "RECIPES=kimi-k2.5-mxfp4", "tp=2"])
def test_a_variable_that_nothing_reads_is_named(slip: str) -> None:
    done = make("--dry-run", "wheel", slip)
    assert done.returncode == 2
    assert slip.partition("=")[0] in done.stderr
    assert "RECIPE" in done.stderr


def test_known_variables_are_taken() -> None:
    done = make("--dry-run", "wheel", "RECIPE=a,b", "TP=2,4", "COVERAGE=full", "-j2")
    assert done.returncode == 0, done.stderr
    assert 'prebuild wheel a b --tp "2,4" --coverage "full"' in " ".join(done.stdout.split())


def test_all_recipes_are_built_by_wheels_alone() -> None:
    assert "--all" in make("--dry-run", "wheels").stdout
    assert "--all" not in make("--dry-run", "wheel").stdout
