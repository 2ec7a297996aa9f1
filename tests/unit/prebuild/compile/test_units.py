from __future__ import annotations

from pathlib import Path

from prebuild import fileset
from prebuild.compile.flags import Flags
from prebuild.compile.units import Unit, closure, plan_units
from prebuild.generate import generate
from prebuild.model import Plan
from prebuild.toolchain import Toolchain
from tests.unit.prebuild.samples import PROJECT, kimi_plan

FLAGS = Flags(device=("-O3",), host=("-O2",), left_out=())


def toolchain(root: Path, identity: str = "one") -> Toolchain:
    return Toolchain(
        kind="debian",
        root=root,
        clangxx=root / "clang++",
        hip_flags=(f"--config={root}/clang.cfg",),
        host_flags=(f"--config={root}/clang.cfg",),
        llvm_bin=root,
        ck_include=root,
        ck_version="7.2.4",
        ck_licence=None,
        hip_version="7.2.4",
        compiler_version="clang 22",
        python_include=(),
        hip_runtime=None,
        python=None,
        identity=identity,
    )


def units(root: Path, plan: Plan, *, identity: str = "one", flags: Flags = FLAGS) -> list[Unit]:
    fileset.write(generate(plan, PROJECT.templates), root / "src")
    modules = plan_units(
        plan,
        csrc=PROJECT.csrc,
        generated=root / "src",
        objects=root / "objects",
        toolchain=toolchain(root, identity),
        flags=flags,
    )
    return [unit for module in modules for unit in (*module.kernels.values(), *module.hosts)]


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
    shared = {"arguments", "binding", "dispatch", "exchange", "registrar", "tensor"}
    assert hosts == {*shared, "module"}
