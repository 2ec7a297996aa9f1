from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.wheel import manifest as m
from prebuild.core import identity
from prebuild.inspect.codeobject import KernelFacts
from prebuild.report import generators, record
from prebuild.report.generators import (
    Figures,
    GeneratorsError,
    Pair,
    Side,
    as_json,
    beside,
    by_family,
    read_side,
    timed,
    totals,
    verdicts,
)
from tests.unit.aiter_prebuilt import samples
from tests.unit.prebuild.samples import toolchain

GOOD = Figures(
    vgprs=128, sgprs=50, spilled=0, scratch_bytes=0, lds_bytes=8192, workgroup=256,
    instructions=1000, mfma=64, code_bytes=6000, error=0.5, cpu_seconds=30.0,
)  # fmt: skip


def figures(**changes: Any) -> Figures:
    return dataclasses.replace(GOOD, **changes)


def pair(one: Figures = GOOD, other: Figures = GOOD, family: str = "f", kernel: str = "k") -> Pair:
    return Pair(kernel=kernel, family=family, one=one, other=other)


@pytest.mark.parametrize(
    ("other", "better"),
    [
        ({}, 0),
        ({"vgprs": 120}, 1),
        ({"vgprs": 136, "instructions": 10}, -1),
        ({"spilled": 1, "vgprs": 64}, -1),
        ({"instructions": 999}, 1),
        ({"code_bytes": 1, "cpu_seconds": 1.0}, 0),
    ],
)
def test_who_is_better_goes_by_spills_then_registers_then_length(
    other: dict[str, Any], better: int
) -> None:
    assert pair(other=figures(**other)).better == better
    assert pair(one=figures(**other), other=GOOD).better == -better


@pytest.mark.parametrize(
    ("vgprs", "waves"), [(0, 8), (64, 8), (65, 7), (128, 4), (129, 3), (256, 2), (257, 1), (512, 1)]
)
def test_waves_go_by_registers_in_eights(vgprs: int, waves: int) -> None:
    assert figures(vgprs=vgprs).waves == waves


@pytest.mark.parametrize(
    ("lds", "workgroup", "waves"),
    [(0, 256, 8), (65536, 256, 2), (65536, 64, 0.5), (32768, 64, 1), (8192, 64, 4.5)],
)
def test_waves_go_by_lds_too(lds: int, workgroup: int, waves: float) -> None:
    assert figures(vgprs=64, lds_bytes=lds, workgroup=workgroup).waves == waves


def test_more_waves_are_counted_against_the_other_side() -> None:
    pairs = [pair(other=figures(vgprs=120)), pair(one=figures(vgprs=121)), pair(figures(vgprs=96))]
    one, other = totals(pairs)
    assert (one.more_waves, other.more_waves) == (1, 0)


def test_sums_count_only_the_compile_times_that_both_sides_know() -> None:
    pairs = [
        pair(other=figures(cpu_seconds=10.0, error=None)),
        pair(one=figures(spilled=3), other=figures(cpu_seconds=None)),
    ]
    one, other = totals(pairs)
    assert (one.cpu_seconds, other.cpu_seconds, timed(pairs)) == (30.0, 10.0, 1)
    assert (one.spilling, one.spilled, other.spilling) == (1, 3, 0)
    assert (one.right, other.right) == (2, 1)
    assert verdicts(pairs) == {0: 1, 1: 1}


def side(name: str, *kernels: str) -> Side:
    return Side(
        generator=name,
        kernels=dict.fromkeys(kernels, GOOD),
        families={kernel: kernel[0] for kernel in kernels},
    )


def test_sides_are_joined_by_kernel_and_what_only_one_has_is_named() -> None:
    found = beside(side("clang", "b1", "a1", "a2"), side("amd", "a2", "b1", "c1"))
    assert [each.kernel for each in found.pairs] == ["a2", "b1"]
    assert (found.only_one, found.only_other) == (("a1",), ("c1",))
    assert list(by_family(found.pairs)) == ["a", "b"]
    assert as_json(found)["generators"] == ["clang", "amd"]
    with pytest.raises(GeneratorsError, match="no kernel in common"):
        beside(side("clang", "a"), side("amd", "b"))


def of_a_tile() -> m.Manifest:
    instance = samples.instance("gemm1_64x32x32x128_1x1")
    return samples.manifest(modules=(samples.module(instances=(instance,)),))


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build folder with the sample manifest, an object and a cost for each of its kernels."""
    manifest = of_a_tile()
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / m.MANIFEST_NAME).write_text(m.dump(manifest))
    (tmp_path / "costs").mkdir()
    units = []
    for name in kernel_ids(manifest):
        made = tmp_path / f"{name}.co"
        made.write_text(name)
        cost = tmp_path / "costs" / f"{name}.json"
        cost.write_text(json.dumps({"cpu_seconds": 7.5}))
        units.append(
            record.UnitRecord(id=name, kind="kernel", key="k", object=str(made), cached=False)
        )
    made_by = record.BuildRecord(
        made="now", commit="c", compiler="clang", jobs=1, launcher=None, compile_seconds=1.0,
        link_seconds=1.0, units=tuple(units), modules=(),
    )  # fmt: skip
    record.write(made_by, tmp_path)
    facts = KernelFacts(
        symbol="s", target="t", vgprs=9, agprs=0, sgprs=5, lds_bytes=1, scratch_bytes=2,
        vgpr_spills=3, sgpr_spills=4, kernarg_bytes=8, code_bytes=6,
        opcodes={"v_mfma_scale": 2, "s_nop": 5},
    )  # fmt: skip
    monkeypatch.setattr(generators, "known_facts", lambda _path, _tools: facts)
    return tmp_path


def kernel_ids(manifest: m.Manifest) -> list[str]:
    return sorted(
        {
            identity.kernel_id(instance.name, main_loop=one.main_loop, tail=one.tail)
            for module in manifest.modules
            for instance in module.instances
            for one in instance.kernels
        }
    )


def test_a_build_folder_tells_resources_verdicts_and_times(build: Path) -> None:
    found = read_side(build, toolchain(build), build)
    assert found.generator == of_a_tile().build.compiler
    assert sorted(found.kernels) == kernel_ids(of_a_tile())
    first = next(iter(found.kernels.values()))
    assert (first.vgprs, first.spilled, first.instructions, first.mfma) == (9, 7, 7, 2)
    assert (first.cpu_seconds, first.workgroup) == (7.5, 64)


def test_a_cost_of_another_object_does_not_count(build: Path) -> None:
    name = kernel_ids(of_a_tile())[0]
    os.utime(build / "costs" / f"{name}.json", (0, 0))
    assert read_side(build, toolchain(build), build).kernels[name].cpu_seconds is None


def test_a_build_without_manifest_or_with_missing_objects_is_said(build: Path) -> None:
    name = kernel_ids(of_a_tile())[0]
    (build / f"{name}.co").unlink()
    with pytest.raises(GeneratorsError, match=f"have no code object.*{name}"):
        read_side(build, toolchain(build), build)
    (build / "stage" / m.MANIFEST_NAME).unlink()
    with pytest.raises(GeneratorsError, match="expected is a wheel"):
        read_side(build, toolchain(build), build)
