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


LEAVES = ("values", "target", "kinds", "call", "releases", "generations", "wheel.typed",
          "wheel.manifest", "choice.dispatch", "choice.rules", "choice.heuristic", "choice.tuned",
          "choice.routing", "choice.verdict")  # fmt: skip


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_that_the_build_side_uses_stand_alone(leaf: str) -> None:
    """They know each other alone, and only those before them (but for routing and dispatch)."""
    path = RUNTIME.joinpath(*leaf.split(".")).with_suffix(".py")
    own = {found for found in imports(path) if found.startswith("aiter_prebuilt.")}
    before = {f"aiter_prebuilt.{each}" for each in LEAVES[: LEAVES.index(leaf)]}
    # `from package import leaf` names the leaf itself, every other import something in it.
    assert all(found in before or found.rpartition(".")[0] in before for found in own), own
