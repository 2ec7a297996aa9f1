"""What the Makefile's targets would run: the production wheel, its shards, a recipe's wheel."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NARROWED = ("RECIPE=a,b", "TP=1,2", "BLOCK_M=64")


def would_run(*arguments: str, **environment: str) -> str:
    """The commands that ``make`` would run, on one line; nothing is run."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return re.sub(r"\s+", " ", done.stdout.replace("\\\n", " "))


def coverage(text: str) -> str | None:
    """The coverage of the one command that takes it."""
    match = re.search(r"(?:-C coverage=|--coverage \"|COVERAGE=\")(\w+)", text)
    return match[1] if match else None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (("wheel", "RECIPE=kimi"), None),
        (("wheels",), "full"),
        (("wheels", "RECIPE=kimi"), "full"),
        (("wheels", "COVERAGE=deployed"), "deployed"),
        (("wheels", "CONTAINER=image"), "full"),
        (("shard", "SHARD=1/4"), "full"),
        (("shard", "SHARD=1/4", "COVERAGE=deployed"), "deployed"),
        (("shard", "SHARD=1/4", "CONTAINER=image"), "full"),
        (("cibuildwheel",), "full"),
        (("cibuildwheel", "RECIPE=kimi"), None),
        (("cibuildwheel", "RECIPE=kimi", "COVERAGE=full"), "full"),
        (("reproduce",), "full"),
        (("reproduce", "RECIPE=kimi"), None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_the_production_wheel_holds_whole_modules(
    target: tuple[str, ...], expected: str | None
) -> None:
    assert coverage(would_run(*target)) == expected


def test_a_variable_of_the_environment_counts_as_well() -> None:
    assert coverage(would_run("wheels", COVERAGE="deployed")) == "deployed"


def test_a_shard_splits_the_plan_of_the_wheel() -> None:
    wheel = would_run("wheels", *NARROWED)
    shard = would_run("shard", "SHARD=2/3", *NARROWED)
    narrowed = 'a b --tp "1,2" --block-m "64" --coverage "full"'
    assert f"prebuild wheel {narrowed}" in wheel
    assert f"prebuild shard 2/3 {narrowed}" in shard
