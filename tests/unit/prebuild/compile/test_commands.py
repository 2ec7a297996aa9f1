from __future__ import annotations

import dataclasses
from pathlib import Path

from prebuild.compile.build import command, compiler_command
from prebuild.compile.commands import device_compiler, kernel_identity, who_compiles
from prebuild.compile.compiler_cache import Launcher
from prebuild.toolchain.model import CodeGenerator
from tests.unit.prebuild.samples import kimi_plan, toolchain, units

AMD = CodeGenerator(
    version="AMD LLVM",
    python=Path("/t/python"),
    library=Path("/l/llvm.so"),
    dropped_attributes={"newer": "why"},
    dropped_features={"b": "why", "a": "why"},
    identity="amd",
)


def test_clang_alone_where_there_is_no_other_code_generator(tmp_path: Path) -> None:
    plain = toolchain(tmp_path)
    assert device_compiler(plain) == [str(plain.clangxx)]
    assert kernel_identity(plain) is None
    assert who_compiles(plain) == "clang 22"


def test_the_program_stands_in_clangs_place_and_says_what_may_be_dropped(tmp_path: Path) -> None:
    made = device_compiler(dataclasses.replace(toolchain(tmp_path), codegen=AMD))
    assert "/t/python" in made
    at = made.index("--library=/l/llvm.so")
    assert made[at + 1 :] == [
        *("--drop-attribute=newer", "--drop-feature=a", "--drop-feature=b", "--"),
        str(tmp_path / "clang++"),
    ]


def test_it_makes_kernels_and_nothing_else(tmp_path: Path) -> None:
    tools = dataclasses.replace(toolchain(tmp_path), codegen=AMD)
    for unit in units(tmp_path, kimi_plan(tp=[2], block_m=[128])):
        other = "prebuild.compile.device" in compiler_command(unit, tools)
        assert other == (unit.kind == "kernel")


def test_a_compiler_cache_is_left_out_where_it_knows_no_such_compiler(tmp_path: Path) -> None:
    tools = dataclasses.replace(toolchain(tmp_path), codegen=AMD)
    found = {unit.kind: unit for unit in units(tmp_path, kimi_plan(tp=[2], block_m=[128]))}
    launcher = Launcher(program="sccache", folder=tmp_path, roots={}, env={})
    (tmp_path / "clang.cfg").write_text("")
    assert "sccache" not in command(found["kernel"], tools, tmp_path, launcher)
    assert "sccache" in command(found["host"], tools, tmp_path, launcher)
