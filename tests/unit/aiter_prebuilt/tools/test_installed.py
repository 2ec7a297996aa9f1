"""Whose rules count, and what of the host and the environment is asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt import generations, settings
from aiter_prebuilt.choice import explain
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host import hip, parts
from aiter_prebuilt.host.facts import HostFacts
from aiter_prebuilt.host.gpu import GpuFacts
from aiter_prebuilt.settings import AiterSettings, Settings
from aiter_prebuilt.tools import installed
from aiter_prebuilt.tools.installed import Aiter, Wish
from aiter_prebuilt.tools.supply import Host
from tests.integration.runtime.sitemaker import make_sysfs
from tests.unit.aiter_prebuilt import samples

NEWEST = generations.load().newest.name


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "locate", lambda: None)
    monkeypatch.setattr(hip, "is_installed", lambda _: False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    package = tmp_path / "checkout" / "aiter"
    package.mkdir(parents=True)
    (package / "fused_moe.py").write_text("BLOCK_SIZE_M = 32\n")
    (package / "_version.py").write_text("__version__ = '0.1.99'\n")
    return package.parent


def look(
    wish: Wish | None = None, *, sysfs: Path = Path("/nowhere"), **variables: Any
) -> tuple[explain.AiterAt, Aiter]:
    asked = Settings(sysfs_root=str(sysfs))
    return installed.look(asked, AiterSettings(**variables), wish or Wish())


def test_no_aiter() -> None:
    at, found = look()
    assert at.tables == ()
    assert (at.rules.generation.name, at.rules.cu_count, at.rules.flydsl) == (NEWEST, 256, False)
    assert (found.root, found.version, found.release) == (None, None, None)
    assert found.notes == (
        f"no AITER is installed: the rules are those of {NEWEST}, its tables none",
        "no GPU was found: 256 compute units are assumed",
    )


def test_a_release_by_name() -> None:
    at, found = look(Wish(release="v0.1.12.post2", flydsl=True, cu_count=64))
    assert at.rules.generation.name == found.generation == "v0.1.12"
    assert (found.release, found.flydsl, found.cu_count) == ("v0.1.12.post2", True, 64)
    assert found.notes == ()
    with pytest.raises(
        installed.AiterError, match=r"no release 'v9' is known; known are v0\.1\.10"
    ):
        look(Wish(release="v9"))


def test_an_aiter_that_nobody_read(checkout: Path) -> None:
    at, found = look(Wish(path=checkout, cu_count=256))
    assert (found.root, found.version) == (checkout / "aiter", "0.1.99")
    assert (found.generation, found.release) == (NEWEST, None)
    assert (at.checked, found.checked) == (False, False)
    note, unchecked = found.notes
    assert "goes to AITER's own build" in unchecked
    assert note.startswith("this AITER is none that was read (its choice, names, tables differ)")
    assert note.endswith(f"assume the rules of {NEWEST} and later")
    assert at.tables == (checkout / "aiter" / "configs" / "tuned_fmoe.csv",)
    assert look(Wish(path=checkout / "aiter", cu_count=256))[1].root == checkout / "aiter"
    with pytest.raises(installed.AiterError, match="holds no AITER"):
        look(Wish(path=checkout / "elsewhere"))


def test_an_installed_aiter_that_is_known(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = generations.load().releases[0]
    monkeypatch.setattr(contract, "locate", lambda: checkout / "aiter")
    monkeypatch.setattr(parts, "read", lambda *_: release.parts)
    at, found = look(Wish(cu_count=256))
    assert at.rules.generation.name == release.generation
    assert found.release is not None
    assert [at.checked, found.checked, len(found.notes)] == [False, False, 1]
    sources = release.parts.sources
    monkeypatch.setattr(contract, "fingerprint", lambda _: sources)
    at, found = look(Wish(cu_count=256))
    assert (at.checked, found.checked, found.notes) == (True, True, ())


def test_variables_of_aiter() -> None:
    at, found = look(
        cu_num=32,
        ksplit=2,
        bypass_tuned=True,
        flydsl_force=False,
        swiglu_bound=512,
        online_tune=True,
        tables=("/a.csv", "/b.csv"),
        problems=("X is wrong",),
    )
    rules = at.rules
    assert (rules.cu_count, rules.ksplit, rules.bypass, rules.flydsl_force) == (32, 2, True, False)
    assert (rules.swiglu_bound, rules.online_tune) == (512, True)
    assert at.tables == (Path("/a.csv"), Path("/b.csv"))
    assert found.environment == (
        "CU_NUM=32",
        "AITER_KSPLIT=2",
        "AITER_BYPASS_TUNE_CONFIG=1",
        "AITER_ONLINE_TUNE=1",
        "AITER_FLYDSL_FORCE=0",
        "GPTOSS_SWIGLU_MXFP4_BF16_BOUND=512",
        "AITER_CONFIG_FMOE=/a.csv:/b.csv",
    )
    assert at.problem == "X is wrong"
    assert look(cu_num=32)[0].problem == ""


def test_compute_units_come_from_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sysfs(tmp_path, 90500, 90500)
    nodes = tmp_path / "class/kfd/kfd/topology/nodes"
    partition = "simd_count 128\nsimd_per_cu 4\ngfx_target_version 90500\n"
    (nodes / "1" / "properties").write_text(partition)
    assert look(sysfs=tmp_path)[1].cu_count == 32
    (nodes / "2" / "properties").write_text(partition.replace("128", "1024"))
    at, found = look(sysfs=tmp_path)
    assert found.cu_count == 256
    assert at.problem == "GPUs have 32, 256 compute units, expected one number: AITER raises"
    monkeypatch.setattr(settings, "visible", lambda: (("ROCR_VISIBLE_DEVICES", "1"),))
    at, found = look(sysfs=tmp_path)
    assert at.problem == ""
    assert found.notes[-1].endswith("ROCR_VISIBLE_DEVICES leaves is not known: 256 are assumed")


def test_callers_that_name_block_scales_themselves() -> None:
    wish = Wish(release="v0.1.12", cu_count=256, gives_1x128=True)
    at, found = look(wish)
    assert at.rules.gives_1x128
    assert "splits K where the caller says per_128x128" in found.notes[0]
    assert look(Wish(release="v0.1.20", cu_count=256, gives_1x128=True))[1].notes == ()


def test_settings_that_are_not_the_usual_are_told() -> None:
    asked = Settings(mode="strict", uncovered="jit", rebuild=1, sysfs_root="/nowhere")
    _, found = installed.look(asked, AiterSettings(), Wish())
    assert found.environment == (
        "AITER_PREBUILT=strict",
        "AITER_PREBUILT_UNCOVERED=jit",
        "AITER_REBUILD=1",
    )


def there(monkeypatch: pytest.MonkeyPatch, facts: HostFacts, wish: Wish) -> tuple[Host, str]:
    monkeypatch.setattr(host, "gather", lambda *_: facts)
    found, notes = installed.host_of(Settings(), wish, ())
    return found, "; ".join(notes)


BARE = samples.host(gpu=GpuFacts(source="none", targets=()), hip=samples.hip(mapped=()), aiter=None)


def test_a_host_that_serves_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found, notes = there(monkeypatch, samples.host(), Wish())
    assert notes == ""
    assert found.gpu == samples.host().gpu
    assert found.view.of(samples.host()) == samples.host()
    assert found.view.assumed == {"aiter-missing"}, "whose rules hold is said elsewhere"


def test_a_host_without_a_gpu_answers_for_one_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found, notes = there(monkeypatch, BARE, Wish())
    assert found.view.assumed == {"aiter-missing", "hip-missing"}
    assert (found.gpu.source, found.gpu.targets) == ("image", ("gfx950",))
    assert notes.startswith("no GPU was found: the answers are for a host with gfx950 and a HIP")
    assert "--no-image" in notes
    found, notes = there(monkeypatch, dataclasses.replace(BARE, hip=samples.hip()), Wish())
    assert "HIP runtime" not in notes
    found, notes = there(monkeypatch, BARE, Wish(image=False))
    assert (found.gpu.targets, found.view.assumed, notes) == ((), {"aiter-missing"}, "")
    found, notes = there(monkeypatch, samples.host(), Wish(image=True))
    assert (found.gpu.source, notes[-9:]) == ("image", "(--image)")


def test_an_aiter_that_is_named_is_judged_instead(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = there(monkeypatch, samples.host(), Wish(path=checkout))
    judged = found.view.of(samples.host()).aiter
    assert judged is not None
    assert judged.root == str(checkout / "aiter")
    assert found.jit is not None
    assert found.jit.folder == str(checkout / "aiter" / "jit")
    found, _ = there(monkeypatch, samples.host(), Wish(release="v0.1.20"))
    assert (found.view.of(samples.host()).aiter, found.jit) == (None, None)
