from __future__ import annotations

from pathlib import Path

import pytest

from aiter_prebuilt import settings
from aiter_prebuilt.host import torch_build
from aiter_prebuilt.host.gpu import GpuFacts
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import doctor, jitdir, running
from aiter_prebuilt.wheel import store
from tests.integration.runtime.sitemaker import make_sysfs
from tests.unit.aiter_prebuilt import samples

MI350X = GpuFacts(source="kfd", targets=("gfx950",))


@pytest.fixture
def jit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JIT folder that holds AITER's own file of the sample module, with code for gfx942."""
    folder = tmp_path / "jit"
    folder.mkdir()
    (folder / f"{samples.STOCK}.so").touch()
    monkeypatch.setattr(jitdir, "targets_of", lambda _: frozenset({"gfx942"}))
    return folder


def state(
    folder: Path, gpu: GpuFacts = MI350X, *, rejects: bool = True, mode: str = "auto"
) -> doctor.ModuleState:
    facts = jitdir.JitFacts(
        folder=str(folder), import_name="<module>", exists=True, writable=True, locks=(),
        hidden=(), rejects_other_gpus=rejects,
    )  # fmt: skip
    return doctor._state(samples.STOCK, (), Settings(mode=mode), facts, gpu)


@pytest.mark.parametrize("mode", ["auto", "prefer"])
def test_aiters_file_for_another_gpu_is_compiled_anew(jit: Path, mode: str) -> None:
    found = state(jit, mode=mode)
    assert found.state == "compiles"
    assert "gfx942 only: AITER rejects it and compiles" in found.detail


def test_before_v0_1_17_such_a_file_is_loaded(jit: Path) -> None:
    found = state(jit, rejects=False)
    assert found.state == "shadowed"
    assert "gfx942 only" in found.detail
    assert state(jit, rejects=False, mode="prefer").state == "declined"  # ours goes first; none is


@pytest.mark.parametrize("targets", [("gfx942",), ()])
def test_a_file_for_this_gpu_and_any_file_without_a_gpu_shadows(
    jit: Path, targets: tuple[str, ...]
) -> None:
    assert state(jit, GpuFacts(source="kfd", targets=targets)).state == "shadowed"


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
