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


@pytest.mark.parametrize("name", ["wheel/manifest.py", "choice/dispatch.py"])
def test_leaves_that_the_build_side_uses_stand_alone(name: str) -> None:
    own = {found for found in imports(RUNTIME / name) if found.startswith("aiter_pre")}
    allowed = {"aiter_prebuilt.wheel.manifest", "aiter_prebuilt.values"}
    assert {found.rsplit(".", 1)[0] for found in own} <= allowed
