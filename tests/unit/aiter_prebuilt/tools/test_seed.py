"""Under which name a module is placed; placing itself is tested with real files (integration)."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest

from aiter_prebuilt import generations
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.tools import installed, seed
from aiter_prebuilt.wheel.manifest import Module
from tests.unit.aiter_prebuilt import samples

BOOK = generations.load()
FACTS = samples.installed()
NEWER = f"moe_ck2stages_gemm1_{BOOK.generations['v0.1.12'].unknown_instances[0]}_x"


def step(tmp_path: Path, generation: str, module: Module, *missing: str) -> seed.Step:
    there = seed._There(
        generation=BOOK.generations[generation], unchecked=None, missing=tuple(missing), facts=FACTS
    )
    wish = seed.Wish(jit_dir=tmp_path, dry_run=True)
    return seed._seed_one(wish, tmp_path, samples.entry(module), there)


@pytest.mark.parametrize(
    ("generation", "name"), [("v0.1.12", f"{samples.STOCK}_"), ("v0.1.13", samples.STOCK)]
)
def test_a_module_is_placed_under_the_name_that_aiter_imports(
    generation: str, name: str, tmp_path: Path
) -> None:
    found = step(tmp_path, generation, samples.module())
    assert (found.file, found.action) == (f"{name}.so", "place")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / f"lock_{name}").touch()
    assert step(tmp_path, generation, samples.module()).action == "keep"


def test_what_an_aiter_compiled_keeps_its_name(tmp_path: Path) -> None:
    packed = samples.module(features=None, harvest=samples.harvest(), instances=(), contracts=())
    assert step(tmp_path, "v0.1.12", packed).file == f"{samples.STOCK}.so"


def test_a_module_with_an_instance_that_aiter_has_not_is_left_out(tmp_path: Path) -> None:
    module = samples.module(instances=(samples.instance(NEWER, reached_by=()),))
    missing = BOOK.generations["v0.1.12"].unknown_instances
    found = step(tmp_path, "v0.1.12", module, *missing)
    assert found.action == "skip"
    assert f"this AITER has no {NEWER}" in found.detail
    assert step(tmp_path, "v0.1.13", module).action == "place"


def test_a_module_whose_enums_are_not_aiters_is_left_out(tmp_path: Path) -> None:
    other = dataclasses.replace(FACTS, quant_types={"per_1x32": 4})
    there = seed._There(
        generation=BOOK.generations["v0.1.13"], unchecked=None, missing=(), facts=other
    )
    wish = seed.Wish(jit_dir=tmp_path, dry_run=True)
    found = seed._seed_one(wish, tmp_path, samples.entry(samples.module()), there)
    assert found.action == "skip"
    assert "QuantType.per_1x32 is 4, the module has 3, and in a JIT directory" in found.detail


@pytest.mark.parametrize(("alone", "left"), [(True, set()), (False, {"young"})])
def test_what_a_killed_run_left_is_swept(alone: bool, left: set[str], tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("young", 5)):
        path = tmp_path / f"{seed._TEMPORARY}{name}"
        path.touch()
        os.utime(path, (time.time() - age, time.time() - age))
    (tmp_path / seed.NOTE).write_text("{}")
    seed._sweep(tmp_path, alone=alone)
    names = {path.name.rpartition(".")[2] for path in tmp_path.iterdir()}
    assert names == {"json"} | left


def test_the_installed_aiter_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (release,) = (each for each in BOOK.releases if each.tag == "v0.1.12.post2")
    facts = samples.installed(fingerprint=release.parts.sources)
    older = BOOK.generations["v0.1.12"]
    monkeypatch.setattr(contract, "locate", lambda: tmp_path)
    monkeypatch.setattr(contract, "gather", lambda *_: facts)
    monkeypatch.setattr(installed, "generation", lambda _: older)
    there = seed._installed()
    assert (there.generation, there.unchecked) == (older, None)
    assert there.missing == older.unknown_instances
    monkeypatch.setattr(contract, "gather", lambda *_: samples.installed(version=None))
    assert seed._installed().unchecked == "of an unknown version"
