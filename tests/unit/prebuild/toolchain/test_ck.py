from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings
from prebuild.families import load_families
from prebuild.toolchain import Toolchain, ck
from prebuild.toolchain.headers import CK_HEADER


@pytest.fixture
def toolchain() -> Toolchain:
    return Toolchain(
        kind="debian",
        root=Path("/t"),
        clangxx=Path("/t/clang++"),
        hip_flags=("--config=/t/clang.cfg",),
        host_flags=(),
        llvm_bin=Path("/t"),
        ck_include=Path("/t/ck"),
        ck_version="7.2",
        ck_licence=Path("/t/copyright"),
        hip_version="7.2",
        compiler_version="clang",
        python_include=(),
        hip_runtime=None,
        python=None,
        identity="0" * 64,
    )


def with_ck(toolchain: Toolchain, include: Path) -> Toolchain:
    return ck.with_ck(toolchain, ck.NamedCk(include=include, origin="somewhere"))


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    header = tmp_path / "checkout" / "include" / CK_HEADER
    header.parent.mkdir(parents=True)
    header.write_text("// a device operation\n")
    (tmp_path / "checkout" / "include" / "ck" / "config.h").write_text("// as built\n")
    monkeypatch.setattr(ck, "described", lambda _checkout: "")
    return tmp_path / "checkout" / "include"


def test_the_named_headers_come_before_the_toolchains(toolchain: Toolchain, include: Path) -> None:
    made = with_ck(toolchain, include)
    assert made.ck_include == include
    assert f"-I{include}" in made.hip_flags
    assert f"-I{include}" in made.host_flags
    assert any(flag.startswith("-ffile-prefix-map=") for flag in made.hip_flags)


def test_what_cks_build_generates_comes_from_aiter_where_nothing_else_has_it(
    toolchain: Toolchain, include: Path, tmp_path: Path
) -> None:
    (include / "ck" / "config.h").unlink()
    with pytest.raises(ToolchainError, match=r"config\.h, which composable") as caught:
        with_ck(toolchain, include)
    assert len(caught.value.problems) == 3
    helper = helper_in(tmp_path)
    made = with_ck(toolchain, include)
    assert f"-I{helper}" in made.hip_flags
    (helper / "ck" / "config.h").write_text("// changed\n")
    assert with_ck(toolchain, include).identity != made.identity


def helper_in(folder: Path) -> Path:
    (folder / "ck_helper" / "ck").mkdir(parents=True)
    (folder / "ck_helper" / "ck" / "config.h").write_text("// AITER's\n")
    return folder / "ck_helper"


def test_aiters_own_generated_header_comes_first_as_in_aiters_builds(
    toolchain: Toolchain, include: Path, tmp_path: Path
) -> None:
    (include / "ck" / "config.h").unlink()
    own = tmp_path / "own" / "ck" / "config.h"
    own.parent.mkdir(parents=True)
    own.write_text("// the toolchain's\n")
    tools = dataclasses.replace(toolchain, ck_include=tmp_path / "own")
    assert not [flag for flag in with_ck(tools, include).hip_flags if "ck_helper" in flag]
    helper = helper_in(tmp_path)
    assert f"-I{helper}" in with_ck(tools, include).hip_flags


def test_objects_of_other_headers_are_other_objects(toolchain: Toolchain, include: Path) -> None:
    first = with_ck(toolchain, include)
    assert first.identity != toolchain.identity
    (include / CK_HEADER).write_text("// another\n")
    second = with_ck(toolchain, include)
    assert second.identity != first.identity
    assert second.ck_version != first.ck_version


def test_the_same_headers_elsewhere_are_the_same(
    toolchain: Toolchain, include: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved" / "include"
    first = with_ck(toolchain, include)
    moved.parent.mkdir()
    include.rename(moved)
    assert with_ck(toolchain, moved).identity == first.identity


def test_the_manifest_says_the_commit_of_a_checkout(
    toolchain: Toolchain, include: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ck, "described", lambda _checkout: "abc123")
    made = with_ck(toolchain, include)
    assert (made.ck_version, made.ck_origin) == ("commit abc123", "somewhere")
    monkeypatch.setattr(ck, "described", lambda _checkout: "abc123-dirty")
    assert with_ck(toolchain, include).ck_version.startswith("headers sha256 ")


def test_the_settings_name_headers_or_an_aiter_or_nothing(include: Path, tmp_path: Path) -> None:
    assert ck.named_ck(Settings(cache_dir=tmp_path)) is None
    by_path = ck.named_ck(Settings(cache_dir=tmp_path, ck_include=include))
    assert by_path == ck.NamedCk(include=include, origin="PREBUILD_CK_INCLUDE")
    third_party = tmp_path / "site" / "aiter_meta" / "3rdparty"
    third_party.mkdir(parents=True)
    include.parent.rename(third_party / "composable_kernel")
    (tmp_path / "site" / "amd_aiter-0.1.20.dist-info").mkdir()
    by_aiter = ck.named_ck(Settings(cache_dir=tmp_path, aiter=tmp_path / "site"))
    assert by_aiter == ck.NamedCk(
        include=third_party / "composable_kernel" / "include", origin="AITER 0.1.20, installed"
    )


def test_its_licence_goes_along_where_there_is_one(toolchain: Toolchain, include: Path) -> None:
    assert with_ck(toolchain, include).ck_licence == toolchain.ck_licence
    (include.parent / "LICENSE").write_text("MIT\n")
    assert with_ck(toolchain, include).ck_licence == include.parent / "LICENSE"


def test_a_folder_without_the_device_operations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=CK_HEADER.name):
        ck.named_ck(Settings(cache_dir=tmp_path, ck_include=tmp_path))


def _write(include: Path, header: str, text: str) -> None:
    path = include / "ck" / "tensor_operation" / "gpu" / header
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


SPLITS = "device/impl/device_moe_gemm_blockscale.hpp"
PARTS = "grid/gridwise_moe_gemm_blockscale.hpp"
BOUNDED = "                return SplitKBatchOffset(problem, blockIdx.z);\n"
ENUM = "grid/gridwise_gemm_xdl_cshuffle_common.hpp"
SWIGLU = "grid/gridwise_moe_gemm.hpp"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, set()),
        ({SPLITS: "    bool IsInputGemm = true,\n    bool MulRoutedWeight = false,\n"}, set()),
        ({SPLITS: "    bool IsSplitK      = false,\n", PARTS: BOUNDED}, {"split-k"}),
        ({SPLITS: "    // bool IsSplitK, once\n", PARTS: BOUNDED}, set()),
        # Parts that read beyond their operands.
        ({SPLITS: "    bool IsSplitK      = false,\n", PARTS: "SplitKBatchOffset(karg"}, set()),
        ({ENUM: "    swiglu_oai_and_mul = 3\n"}, set()),
        ({ENUM: "    swiglu_oai_and_mul = 2\n", SWIGLU: "Activation::swiglu_oai_and_mul"}, set()),
        (
            {ENUM: "    swiglu_oai_and_mul = 3\n", SWIGLU: "Activation::swiglu_oai_and_mul"},
            {"swiglu"},
        ),
    ],
)
def test_abilities_are_what_the_headers_say(
    include: Path, headers: dict[str, str], found: set[str]
) -> None:
    for header, text in headers.items():
        _write(include, header, text)
    assert ck.abilities(include) == found


def test_every_ability_of_a_family_is_known() -> None:
    named = {entry.unless for family in load_families().values() for entry in family.unavailable}
    assert named == set(ck._ABILITIES)
