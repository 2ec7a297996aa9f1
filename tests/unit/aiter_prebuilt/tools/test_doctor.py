from __future__ import annotations

from pathlib import Path

import pytest

from aiter_prebuilt import generations, settings
from aiter_prebuilt.host import torch_build
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import doctor, running
from aiter_prebuilt.wheel import store
from tests.integration.runtime.sitemaker import make_sysfs
from tests.unit.aiter_prebuilt import samples


@pytest.mark.parametrize(
    ("release", "name"), [("v0.1.12.post2", f"{samples.STOCK}_"), ("v0.1.20", samples.STOCK)]
)
def test_modules_are_told_by_the_names_that_aiter_asks_for(release: str, name: str) -> None:
    book = generations.load()
    (known,) = (each for each in book.releases if each.tag == release)
    generation = book.generations[known.generation]
    shelf = store.Shelf(folder=Path("site"), manifest=samples.manifest(), reason=None)
    assert doctor.names_asked((shelf,), generation) == (name,)


def test_what_an_aiter_compiled_keeps_its_own_name() -> None:
    packed = samples.module(
        name="module_x_", stock_name="module_x_", features=None, harvest=samples.harvest(),
        contracts=(), instances=(),
    )  # fmt: skip
    shelf = store.Shelf(folder=Path("site"), manifest=samples.manifest(packed), reason=None)
    newest = generations.load().newest
    assert doctor.names_asked((shelf,), newest) == ("module_x_",)


def test_what_hides_gpus_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "read_all", lambda *_: ())
    asked = Settings(sysfs_root=str(make_sysfs(tmp_path, 90402, 90500)))

    def seen(value: str) -> tuple[tuple[str, ...], str | None, list[str]]:
        monkeypatch.setattr(settings, "visible", lambda: (("HIP_VISIBLE_DEVICES", value),))
        found = doctor.examine(asked)
        codes = [problem.code for problem in found.problems]
        return found.host.gpu.targets, found.visible, codes

    targets, text, codes = seen("1")
    assert targets == ("gfx950",)
    assert text == "HIP_VISIBLE_DEVICES=1 leaves gfx950 of gfx942, gfx950"
    assert "visible-devices" not in codes
    assert (seen("-1")[0], "visible-devices" in seen("-1")[2]) == ((), True)
    assert seen("GPU-1")[0] == ("gfx942", "gfx950")
    assert "visible-devices" in seen("GPU-1")[2]


@pytest.mark.parametrize(("built", "told"), [("", True), ("7.2", False), (None, False)])
def test_a_torch_that_is_no_build_for_rocm(
    built: str | None, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build, "hip", lambda: built)
    assert bool(doctor._torch_problems()) == told


def test_a_process_with_another_aiter_needs_its_own_interpreter() -> None:
    def process(root: str | None) -> running.Running:
        return running.Running(
            pid=7, variables={}, asked=Settings(), visible=(), aiter=root, aiter_version="0.1.22",
            served=(), own=(),
        )  # fmt: skip

    here = samples.host().aiter
    assert here is not None
    assert doctor._aiter_problems(process(here.root), here) == []
    assert doctor._aiter_problems(process(None), here) == []
    (problem,) = doctor._aiter_problems(process("/other/aiter"), here)
    assert "0.1.22 at /other/aiter" in problem.message
