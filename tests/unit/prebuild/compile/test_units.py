from __future__ import annotations

import dataclasses
from pathlib import Path

from prebuild.compile.flags import Flags
from prebuild.compile.units import Unit, closure
from prebuild.toolchain.model import CodeGenerator
from tests.unit.prebuild.samples import FLAGS, PROJECT, kimi_plan, units


def keys(found: list[Unit]) -> dict[str, str]:
    return {f"{unit.kind} {unit.id}": unit.key for unit in found}


def test_keys_hold_no_path(tmp_path: Path) -> None:
    plan = kimi_plan(tp=[2])
    assert keys(units(tmp_path / "a", plan)) == keys(units(tmp_path / "b" / "c", plan))


def test_compiler_and_flags_change_every_key(tmp_path: Path) -> None:
    plan = kimi_plan(tp=[2], block_m=[128])
    one = keys(units(tmp_path, plan))
    other = keys(units(tmp_path, plan, identity="two"))
    assert not set(one.values()) & set(other.values())
    device = Flags(device=("-O2",), host=FLAGS.host, left_out=())
    changed = keys(units(tmp_path, plan, flags=device))
    assert {name for name in one if one[name] != changed[name]} == {
        name for name in one if name.startswith("kernel ")
    }


def test_the_code_generator_and_what_it_drops_change_every_kernel_and_nothing_else(
    tmp_path: Path,
) -> None:
    plan = kimi_plan(tp=[2], block_m=[128])
    amd = CodeGenerator(version="1", python=tmp_path, library=tmp_path / "a", identity="amd")
    plain, one = keys(units(tmp_path, plan)), keys(units(tmp_path, plan, codegen=amd))
    kernels = {name for name in plain if name.startswith("kernel ")}
    assert {name for name in plain if plain[name] != one[name]} == kernels
    moved = dataclasses.replace(amd, library=tmp_path / "b")
    assert keys(units(tmp_path, plan, codegen=moved)) == one
    other = keys(units(tmp_path, plan, codegen=dataclasses.replace(amd, identity="other")))
    assert {name for name in one if one[name] != other[name]} == kernels


def test_another_recipe_touches_only_its_own_units(tmp_path: Path) -> None:
    two = keys(units(tmp_path / "two", kimi_plan(tp=[2])))
    both = keys(units(tmp_path / "both", kimi_plan(tp=[2, 4])))
    kernels = {name for name in two if name.startswith("kernel ")}
    assert kernels
    assert all(both[name] == two[name] for name in kernels)


def test_a_comment_is_no_change_and_code_is(tmp_path: Path) -> None:
    header, source = tmp_path / "h.hpp", tmp_path / "s.cu"
    source.write_text('#include "h.hpp"\nint a;\n')
    header.write_text("int b;\n")
    before = closure(source, [tmp_path])
    header.write_text("// why\n\nint b;\n")
    assert closure(source, [tmp_path]) == before
    header.write_text("int c;\n")
    assert closure(source, [tmp_path]) != before


def test_binding_sources_serve_every_module(tmp_path: Path) -> None:
    found = units(tmp_path, kimi_plan(tp=[2]))
    hosts = {unit.id.partition(".")[0] for unit in found if unit.kind == "host"}
    shared = {path.stem for path in PROJECT.csrc.glob("*.cpp")}
    assert {"binding", "registrar"} < shared
    assert hosts == {*shared, "module"}
