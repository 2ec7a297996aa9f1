"""Start-up imports next to nothing, and leaves that the build side uses stand alone."""

from __future__ import annotations

import pytest

from tests.unit.test_architecture import RUNTIME, imports


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("__init__.py", set()),
        ("settings.py", {"os"}),
        ("_hook.py", {"sys", "aiter_prebuilt.settings"}),
    ],
)
def test_start_up_files_import_next_to_nothing(name: str, allowed: set[str]) -> None:
    assert set(imports(RUNTIME / name, top_only=True)) <= allowed


LEAVES = ("values", "target", "kinds", "call", "wheel.manifest", "choice.dispatch",
          "choice.routing", "choice.tuned")  # fmt: skip


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_that_the_build_side_uses_stand_alone(leaf: str) -> None:
    """They know each other alone, and only those before them (but for routing and dispatch)."""
    path = RUNTIME.joinpath(*leaf.split(".")).with_suffix(".py")
    own = {found for found in imports(path) if found.startswith("aiter_prebuilt.")}
    before = tuple(f"aiter_prebuilt.{each}" for each in LEAVES[: LEAVES.index(leaf)])
    assert all(found.startswith(before) for found in own), own
