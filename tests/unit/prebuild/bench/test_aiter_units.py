from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from aiter_prebuilt.call import ModuleKey
from prebuild.bench import aiter_units
from prebuild.bench.aiter_units import AiterBuild, aiters_flags
from prebuild.bench.fourinone import TorchHeaders
from prebuild.compile.build import compiler_command
from prebuild.toolchain.aiter_sources import AiterSources
from tests.unit.prebuild.samples import FLAGS, kimi_plan, toolchain

FP8 = ModuleKey(
    a_dtype="f8", b_dtype="f8", c_dtype="b16", preshuffle=True, activation="silu",
    quant="per_1x128", routed_weight_stage=2, splitk=True,
)  # fmt: skip


@pytest.fixture
def build(tmp_path: Path) -> AiterBuild:
    root = tmp_path / "aiter"
    codegen = root / "csrc" / "ck_gemm_moe_2stages_codegen"
    codegen.mkdir(parents=True)
    (codegen / "common.cuh").write_text("// AITER's\nint a;\n")
    (root / "csrc" / "include").mkdir()
    return AiterBuild(
        sources=AiterSources(root=root, package=root / "aiter"),
        toolchain=dataclasses.replace(toolchain(tmp_path), ck_include=tmp_path / "ck" / "include"),
        flags=("-O3",),
        torch=TorchHeaders(include=(tmp_path / "torch",)),
        objects=tmp_path / "objects",
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the generator was started with; it writes one instance."""
    words: list[str] = []

    def run(command: Sequence[str | Path]) -> bytes:
        words[:] = [str(part) for part in command]
        folder = Path(words[-1]) / "instances"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "one.cu").write_text('#include "common.cuh"\n')
        return b""

    monkeypatch.setattr(aiter_units.proc, "run", run)
    return words


def test_the_generator_is_asked_as_aiter_asks_it(
    build: AiterBuild, asked: list[str], tmp_path: Path
) -> None:
    (module,) = kimi_plan(tp=[2]).modules
    build.units(module.features, tmp_path / "scratch")
    script = asked.index(
        str(build.sources.root / "csrc/ck_gemm_moe_2stages_codegen/gen_instances.py")
    )
    assert asked[script - 1] == "gfx950"
    assert asked[script + 1 : -2] == [
        *("-a", "fp4x2", "-b", "fp4x2", "-c", "b16", "-q", "per_1x32", "-act", "silu", "-m", "2"),
        "--preshuffle",
    ]
    build.units(FP8, tmp_path / "scratch")
    assert asked[script + 9 : -2] == ["-act", "silu", "-m", "2", "--issplitk"]
    assert asked[script + 8] == "per_1x128"


def test_an_instance_of_another_aiter_is_not_this_ones(
    build: AiterBuild, asked: list[str], tmp_path: Path
) -> None:
    assert asked == []
    left = tmp_path / "scratch" / "instances" / "two.cu"
    left.parent.mkdir(parents=True)
    left.write_text("")
    assert [*build.units(FP8, tmp_path / "scratch")] == ["one"]


def test_a_unit_is_compiled_for_the_gpu_alone_with_aiters_headers(
    build: AiterBuild, asked: list[str], tmp_path: Path
) -> None:
    (name, unit), *more = build.units(FP8, tmp_path / "scratch").items()
    assert (name, more) == ("one", [])
    assert asked
    command = compiler_command(unit, build.toolchain)
    assert "--cuda-device-only" in command
    assert command[command.index("-isystem") + 1] == str(tmp_path / "torch")
    assert f"-I{build.sources.root}/csrc/include" in command
    tile = tmp_path / "scratch" / "tile"
    assert f"-I{tile}" in command
    assert "namespace ck_tile" in (tile / "ck_tile" / "core.hpp").read_text()


def test_aiters_headers_and_flags_are_in_the_key_and_torchs_place_is_not(
    build: AiterBuild, asked: list[str], tmp_path: Path
) -> None:
    def key(**changes: object) -> str:
        made = dataclasses.replace(build, **changes)  # type: ignore[arg-type]
        return made.units(FP8, tmp_path / "scratch")["one"].key

    first = key()
    assert asked
    assert key(torch=TorchHeaders(include=(tmp_path / "elsewhere",))) == first
    assert key(flags=("-O2",)) != first
    header = build.sources.root / "csrc/ck_gemm_moe_2stages_codegen/common.cuh"
    header.write_text("int b;\n")
    assert key() != first


def test_ck_tile_is_used_where_the_composable_kernel_has_it(
    build: AiterBuild, asked: list[str], tmp_path: Path
) -> None:
    core = build.toolchain.ck_include / "ck_tile" / "core.hpp"
    core.parent.mkdir(parents=True)
    core.write_text("")
    (build.toolchain.ck_include.parent / "library" / "include").mkdir(parents=True)
    unit = build.units(FP8, tmp_path / "scratch")["one"]
    assert asked
    assert tmp_path / "scratch" / "tile" not in unit.include
    assert build.toolchain.ck_include.parent / "library" / "include" in unit.include


def test_the_number_of_preloaded_arguments_is_aiters() -> None:
    flags = dataclasses.replace(FLAGS, device=("-mllvm", "--amdgpu-kernarg-preload-count=16"))
    assert aiters_flags(flags, 32) == ("-mllvm", "--amdgpu-kernarg-preload-count=32")
    assert aiters_flags(flags, None) == flags.device
