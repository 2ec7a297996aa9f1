from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from aiter_prebuilt.host import parts

FUSED = '''
_PADDED_M_TIERS = [32768]

def get_padded_M(M):
    """Words."""
    # more words
    return {"a": M, "b": f"{M} {'x'}"}

def elsewhere(): return 1
'''
CORE = """
class AITER_CONFIG:
    def get_config_file(self, name): return name
    def other(self): return 2
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "jit").mkdir()
    (tmp_path / "fused_moe.py").write_text(FUSED)
    (tmp_path / "jit" / "core.py").write_text(CORE)
    return tmp_path


def test_what_is_found_and_what_is_not(root: Path) -> None:
    found = parts.read(root, "sources")
    assert (found.sources, found.names) == ("sources", None)
    assert found.choice is not None
    assert found.tables is not None
    assert len(found.choice) == parts.LENGTH
    assert parts.definitions(root, parts.CHOICE).keys() == {
        "fused_moe.py:_PADDED_M_TIERS",
        "fused_moe.py:get_padded_M",
    }
    assert parts.definitions(root, parts.TABLES).keys() == {
        "jit/core.py:AITER_CONFIG.get_config_file"
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Words."""', '"""Other words."""'),
        ('    """Words."""\n', ""),
        ("# more words", "# other words"),
        ("return 1", "return 3"),
        ('{"a": M, "b"', '{\n        "a": M,\n        "b"'),
    ],
)
def test_words_layout_and_other_functions_change_nothing(root: Path, old: str, new: str) -> None:
    before = parts.read(root, None)
    assert old in FUSED
    (root / "fused_moe.py").write_text(FUSED.replace(old, new))
    assert parts.read(root, None) == before


@pytest.mark.parametrize(
    ("old", "new"), [("[32768]", "[32768, 7]"), ('"a": M', '"a": M + 1'), ("(M)", "(M, N)")]
)
def test_what_decides_changes_the_fingerprint(root: Path, old: str, new: str) -> None:
    before = parts.read(root, None)
    (root / "fused_moe.py").write_text(FUSED.replace(old, new))
    after = parts.read(root, None)
    assert after.choice != before.choice
    assert dataclasses.replace(after, choice=before.choice) == before


def test_a_method_of_the_class_counts_and_its_neighbour_does_not(root: Path) -> None:
    before = parts.read(root, None)
    (root / "jit" / "core.py").write_text(CORE.replace("return 2", "return 4"))
    assert parts.read(root, None) == before
    (root / "jit" / "core.py").write_text(CORE.replace("return name", "return None"))
    assert parts.read(root, None).tables != before.tables


def test_a_file_that_is_no_python_has_no_parts(root: Path) -> None:
    (root / "fused_moe.py").write_text("def broken(:")
    assert parts.read(root, None).choice is None


def test_the_fingerprint_is_the_same_under_every_python(root: Path) -> None:
    """Recorded with CPython 3.11; 3.10, 3.12 and 3.13 gave the same for every release of AITER."""
    assert parts.read(root, None).choice == "34ac76a5bc9782d1"
