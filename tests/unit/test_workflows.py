"""Nothing happens in YAML only: each step of a workflow is a make target or a pinned action."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Where an identity can be had nothing is checked out, so no Makefile is there.
WITHOUT_MAKE = {"mkdir dist && mv wheelhouse/*.whl dist/"}
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}|\$/\.github/workflows/[a-z]+\.yml")


def jobs(path: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load(path.read_text())["jobs"].values()


def ids(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", WORKFLOWS, ids=ids)
def test_steps_are_make_targets(path: Path) -> None:
    commands = [step["run"] for job in jobs(path) for step in job.get("steps", []) if "run" in step]
    for command in set(commands) - WITHOUT_MAKE:
        match = re.match(r"make (?:--silent )?((?:[a-z-]+ ?)+)", command)
        assert match, f"{command!r} is no make target"
        assert set(match[1].split()) <= TARGETS, command


@pytest.mark.parametrize("path", WORKFLOWS, ids=ids)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = [step["uses"] for job in jobs(path) for step in job.get("steps", []) if "uses" in step]
    used += [job["uses"] for job in jobs(path) if "uses" in job]
    assert [name for name in used if not PINNED.fullmatch(name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=ids)
def test_permissions_are_none_unless_a_job_names_them(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    assert all("permissions" in job for job in jobs(path))


def test_only_the_release_may_write_and_nothing_runs_where_it_has_an_identity() -> None:
    granted = {
        (path.name, scope)
        for path in WORKFLOWS
        for job in jobs(path)
        for scope, level in job["permissions"].items()
        if level == "write"
    }
    assert granted == {("release.yml", "id-token"), ("release.yml", "contents")}
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    steps = release["publish"]["steps"]
    assert not any("checkout" in step.get("uses", "") for step in steps)


def test_a_rocm_image_is_pulled_only_after_its_room_was_looked_for() -> None:
    pulling = 0
    for path in WORKFLOWS:
        for job in jobs(path):
            commands = [step.get("run", "") for step in job.get("steps", [])]
            if "make container-rocm" in commands:
                pulling += 1
                assert "make room" in commands[: commands.index("make container-rocm")]
    assert pulling == 3
