from __future__ import annotations

import dataclasses
from pathlib import Path

from aiter_prebuilt.generations import load
from prebuild.aiter import show
from prebuild.aiter.book import judge
from prebuild.aiter.tree import read
from tests.unit.prebuild.aiter.samples import FUSED, checkout
from tests.unit.prebuild.aiter.test_book import tagged, with_parts


def test_one_aiter(tmp_path: Path) -> None:
    tree = read(checkout(tmp_path))
    text = "\n".join(show.one(judge(tree, load())))
    assert f"rules: new in choice, names, tables; taken for {load().newest.name}" in text
    assert "not compared with our tables" in text
    assert "pins FlyDSL 0.9.1, kernarg preload 32" in text
    known = judge(with_parts(tree, load().releases[0]), load())
    text = "\n".join(show.one(known))
    assert "(generation v0.1.10.post2)" in text
    assert "mulWeightStage1_" in text
    assert "not: such an AITER has no kernels for swiglu" in text
    broken = dataclasses.replace(known, problems=("ck_moe_stage1: is not defined",))
    assert list(show.one(broken))[-1] == "  - ck_moe_stage1: is not defined"


def test_several(tmp_path: Path) -> None:
    old = read(checkout(tmp_path / "old"))
    new = read(checkout(tmp_path / "new", fused=FUSED.replace("return M", "return 2 * M")))
    last = load().releases[-1]
    same = tagged(with_parts(old, last), tag=last.tag, date=last.date)
    lines = list(show.several([same, tagged(new)], load(), {"v0.1.99": tagged(old, "v0.1.98")}))
    assert lines[0].endswith(f"rules of {last.generation}")
    assert "new; taken for" in lines[1]
    assert lines[1].endswith("CK2stages sources not compared, not in the data file")
    assert lines[2:] == ["  changed since v0.1.98: fused_moe.py:get_padded_M"]
