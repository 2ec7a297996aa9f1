from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.aiter import tree
from tests.unit.prebuild.aiter.samples import FUSED, checkout


def test_what_is_read_of_a_checkout_and_of_its_package(tmp_path: Path) -> None:
    found = tree.read(checkout(tmp_path))
    assert tree.read(tmp_path / "aiter") == found
    assert found.root == tmp_path / "aiter"
    assert found.facts.problems == ()
    assert (found.flydsl, found.kernarg_preload, found.arch_check) == ("0.9.1", 32, True)
    assert found.parts.sources == found.facts.fingerprint
    assert found.parts.tables is None
    assert found.definitions.keys() == {"fused_moe.py:BLOCK_SIZE_M", "fused_moe.py:get_padded_M"}


@pytest.mark.parametrize(
    ("text", "pin"),
    [
        ("flydsl==0.1.9.dev599", "0.1.9.dev599"),
        ("flydsl>=0.1.4.post1.dev,<0.1.5", ">=0.1.4.post1.dev,<0.1.5"),
        ("torch", None),
    ],
)
def test_what_is_pinned_of_flydsl(tmp_path: Path, text: str, pin: str | None) -> None:
    checkout(tmp_path)
    (tmp_path / "requirements.txt").write_text(f"numpy\n{text}\n")
    assert tree.read(tmp_path).flydsl == pin


def test_files_that_are_not_there(tmp_path: Path) -> None:
    checkout(tmp_path)
    for name in ("requirements.txt", "aiter/jit/core.py"):
        (tmp_path / name).unlink()
    found = tree.read(tmp_path)
    assert (found.flydsl, found.kernarg_preload, found.arch_check) == (None, None, False)


def test_no_aiter(tmp_path: Path) -> None:
    with pytest.raises(tree.AiterError, match=r"has no aiter/fused_moe.py"):
        tree.read(tmp_path)


def test_what_changed(tmp_path: Path) -> None:
    old = tree.read(checkout(tmp_path / "old"))
    text = FUSED.replace("return M", "return M + 1") + "quant_remap = {}\n"
    new = tree.read(checkout(tmp_path / "new", fused=text))
    assert tree.changed(old, old) == ()
    assert tree.changed(old, new) == ("fused_moe.py:get_padded_M", "fused_moe.py:quant_remap")
