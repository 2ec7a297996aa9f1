"""When a wheel is the published one, what stops it, and who sees it before it is in the folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from prebuild.core.settings import Settings
from prebuild.pipeline import wheel
from prebuild.pipeline.kernels import Examined
from prebuild.toolchain.pin import read_pin
from prebuild.verify.errors import VerificationError
from prebuild.verify.source import listed_modules
from prebuild.verify.verdict import Verdict
from prebuild.wheel.config import WheelConfig
from prebuild.wheel.stage import Staged, stage
from tests.unit.aiter_prebuilt import samples
from tests.unit.prebuild.samples import PROJECT

PIN = read_pin(PROJECT.matrix)
RELEASED = dataclasses.replace(
    samples.manifest().build,
    toolchain="rocm",
    container="image@sha256:0",
    source_dirty=False,
    ck_version=PIN.ck_version,
)
WHOLE = WheelConfig(coverage="full")


def test_what_the_release_container_builds_of_everything_is_published() -> None:
    assert wheel._published(WHOLE, RELEASED, PIN)
    through_ccache = dataclasses.replace(WHOLE, launcher="ccache")
    assert wheel._published(through_ccache, RELEASED, PIN)


@pytest.mark.parametrize(
    "narrowed",
    [
        {"recipes": ("kimi-k2.5-mxfp4",)},
        {"tp": (2,)},
        {"block_m": (32,)},
        {"coverage": "deployed"},
        {"coverage": None},
        {"verify": "report"},
    ],
)
def test_what_was_narrowed_or_not_checked_is_ones_own(narrowed: dict[str, Any]) -> None:
    config = dataclasses.replace(WHOLE, **narrowed)
    assert not wheel._published(config, RELEASED, PIN)


@pytest.mark.parametrize(
    "other", [{"toolchain": "debian"}, {"container": None}, {"source_dirty": True}]
)
def test_what_was_built_otherwise_is_ones_own(other: dict[str, Any]) -> None:
    record = dataclasses.replace(RELEASED, **other)
    assert not wheel._published(WHOLE, record, PIN)


def test_another_composable_kernel_than_the_pinned_one_is_ones_own() -> None:
    other = dataclasses.replace(RELEASED, ck_version="7.2.4")
    assert not wheel._published(WHOLE, other, PIN)


def test_a_wrong_kernel_stops_a_wheel_unless_it_is_only_reported(
    verdict: Verdict,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object, **__: object) -> list[Verdict]:
        raise VerificationError("wrong:", ["kernel"])

    monkeypatch.setattr(wheel, "run", stop)
    monkeypatch.chdir(tmp_path)
    bad = dataclasses.replace(verdict, ok=False, failure="an instruction without semantics\nat 4")
    examined = Examined(verdicts=(verdict, bad), unknown=())
    monkeypatch.setattr(wheel, "examine", lambda *_, **__: examined)
    staged = Staged(directory=tmp_path, include={})
    settings = Settings(cache_dir=tmp_path)
    with pytest.raises(VerificationError):
        wheel.verify_staged(samples.manifest(), staged, settings, stop=True)
    wheel.verify_staged(samples.manifest(), staged, settings, stop=False)
    assert "gemm1: an instruction without semantics (verify-failures" in capsys.readouterr().err
    assert len(list((tmp_path / "verify-failures").iterdir())) == 1


@pytest.mark.parametrize("stop", [True, False])
def test_kernels_are_run_as_the_modules_of_the_manifest_launch_them(
    stop: bool, verdict: Verdict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = stage(samples.manifest(), [], licences={}, sboms={}, directory=tmp_path / "stage")
    listed: list[str] = []

    def look(path: Path, **_: object) -> list[Verdict]:
        listed.extend(module.name for _, module in listed_modules(path))
        return [verdict]

    monkeypatch.setattr(wheel, "run", look)
    monkeypatch.setattr(
        wheel, "examine", lambda *_, **__: Examined(verdicts=tuple(look(*_)), unknown=())
    )
    wheel.verify_staged(samples.manifest(), made, Settings(cache_dir=tmp_path), stop=stop)
    assert listed == [module.name for module in samples.manifest().modules]


def prepared(folder: Path) -> wheel.PreparedWheel:
    staged = Staged(directory=folder, include={"manifest.json": "aiter_prebuilt/manifest.json"})
    return wheel.PreparedWheel(project=PROJECT, staged=staged, version="1.0", epoch=0)


def test_every_judge_sees_a_wheel_before_it_is_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    packed = tmp_path / "packed.whl"
    packed.write_bytes(b"wheel")
    out = tmp_path / "dist"

    def judge(name: str) -> Any:
        def look(*_: object, **__: object) -> Path:
            assert not out.exists()
            seen.append(name)
            return packed

        return look

    for name in ("repair", "audit_abi3", "check_files", "check_size"):
        monkeypatch.setattr(wheel, name, judge(name))
    assert wheel.finish_wheel(packed, out, prepared(tmp_path)) == out / "packed.whl"
    assert seen == ["repair", "audit_abi3", "check_files", "check_size"]
    assert (out / "packed.whl").read_bytes() == b"wheel"


def test_a_judge_that_objects_keeps_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "packed.whl"
    packed.write_bytes(b"wheel")

    def object_to(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(wheel, "repair", lambda path, **_: path)
    monkeypatch.setattr(wheel, "audit_abi3", object_to)
    with pytest.raises(RuntimeError):
        wheel.finish_wheel(packed, tmp_path / "dist", prepared(tmp_path))
    assert not (tmp_path / "dist").exists()


def test_the_wheel_has_to_hold_the_package_the_stage_and_the_start_up_files(
    tmp_path: Path,
) -> None:
    files = wheel.expected_files(prepared(tmp_path))
    assert {"aiter_prebuilt/__init__.py", "aiter_prebuilt/serve/finder.py"} <= set(files)
    assert {"aiter_prebuilt.pth", "aiter_prebuilt/manifest.json"} <= set(files)
    assert not any("__pycache__" in name for name in files)
