from __future__ import annotations

from pathlib import Path

from aiter_prebuilt.choice import tuned
from tests.unit.aiter_prebuilt import samples

KEY = {"token": 64, "model_dim": 7168, "inter_dim": 1024, "expert": 384, "topk": 8}


def test_no_tables(tmp_path: Path) -> None:
    assert tuned.lookup(tmp_path, samples.FEATURES, KEY, 256) is None


def test_files_that_are_no_tables_hold_no_rows(tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "model_configs"
    folder.mkdir(parents=True)
    (folder / "a_tuned_fmoe.csv").write_bytes(b"\xff\xfe\x00")
    (folder / "b_tuned_fmoe.csv").mkdir()
    (folder / "c_untuned_fmoe.csv").write_text("token\n64\n")
    assert tuned.lookup(tmp_path, samples.FEATURES, KEY, 256) is None
