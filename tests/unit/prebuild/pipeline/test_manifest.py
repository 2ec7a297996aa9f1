from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from aiter_prebuilt.wheel.manifest import BuildRecord, LeftOut
from prebuild.core.source import SourceState
from prebuild.inspect.aiter_code import Checked
from prebuild.inspect.codeobject import KernelFacts
from prebuild.inspect.elf import ElfFacts
from prebuild.link import LinkedModule
from prebuild.pipeline.manifest import Inspected, make_manifest, with_compared
from prebuild.toolchain import Toolchain
from prebuild.toolchain.model import CodeGenerator
from tests.unit.prebuild.samples import FLAGS, SOURCE, kimi_plan, toolchain


def record(tools: Toolchain) -> BuildRecord:
    left_out = (LeftOut(what="-mllvm -x", reason="unknown"),)
    return make_manifest(
        version="1",
        plan=kimi_plan(tp=[2]),
        recipes=(),
        modules=(),
        toolchain=tools,
        flags=dataclasses.replace(FLAGS, left_out=left_out),
        source=SourceState(commit="c", dirty=False, epoch=0),
    ).build


def test_the_record_names_the_code_generator_and_all_that_it_did_not_see(tmp_path: Path) -> None:
    amd = CodeGenerator(
        version="AMD LLVM 22",
        python=tmp_path,
        library=tmp_path,
        dropped_attributes={"newer": "harmless"},
        dropped_features={"sad": "granted", "cube": "granted"},
        dropped_options={"EmitAddrsig": "unused"},
        identity="amd",
    )
    made = record(toolchain(tmp_path, codegen=amd))
    assert (made.compiler, made.code_generator) == ("clang 22", "AMD LLVM 22")
    assert [(entry.what, entry.reason) for entry in made.left_out[:5]] == [
        ("-mllvm -x", "unknown"),
        ("attribute newer", "harmless"),
        ("feature cube", "granted"),
        ("feature sad", "granted"),
        ("option EmitAddrsig", "unused"),
    ]


def test_clang_alone_has_no_code_generator_beside_it(tmp_path: Path) -> None:
    made = record(toolchain(tmp_path))
    assert made.code_generator is None
    kinds = ("attribute", "feature", "option")
    assert not [entry for entry in made.left_out if entry.what.startswith(kinds)]


def test_the_record_says_whose_composable_kernel_it_was(tmp_path: Path) -> None:
    assert record(toolchain(tmp_path)).ck_origin is None
    named = dataclasses.replace(toolchain(tmp_path), ck_origin="AITER v1 (commit c)")
    assert record(named).ck_origin == "AITER v1 (commit c)"


def inspected(folder: Path) -> tuple[Inspected, ...]:
    """The modules of Kimi at TP 2, with a file for each code object that holds its kernel's id."""
    facts = KernelFacts(
        symbol="s", target="t", vgprs=1, agprs=0, sgprs=1, lds_bytes=0, scratch_bytes=0,
        vgpr_spills=0, sgpr_spills=0, kernarg_bytes=8, code_bytes=4, opcodes={},
    )  # fmt: skip
    (module,) = kimi_plan(tp=[2]).modules
    ids = [kernel.id for instance in module.built for kernel in instance.kernels]
    for name in ids:
        (folder / name).write_text(name)
    linked = LinkedModule(
        path=folder / "m.so",
        sha256="0" * 64,
        size=1,
        code_objects={name: folder / name for name in ids},
    )
    elf = ElfFacts(
        soname="m.so", needed=(), run_paths=(), versions=(), undefined=(), exported=(),
        bundle_targets=(),
    )  # fmt: skip
    kernels = dict.fromkeys(ids, facts)
    return (Inspected(planned=module, linked=linked, elf=elf, kernels=kernels),)


def test_a_kernel_is_an_aiters_own_where_its_very_bytes_were_compared(tmp_path: Path) -> None:
    modules = inspected(tmp_path)
    made = make_manifest(
        version="1", plan=kimi_plan(tp=[2]), recipes=(), modules=modules,
        toolchain=toolchain(tmp_path), flags=FLAGS, source=SOURCE,
    )  # fmt: skip
    first, second, *_ = modules[0].kernels
    build = made.build
    checked = Checked(
        aiter="AITER v1",
        compiler=build.compiler,
        code_generator=build.code_generator,
        composable_kernel=build.ck_version,
        flags=(),
        kernels={
            first: hashlib.sha256(first.encode()).hexdigest(),
            second: hashlib.sha256(b"another build").hexdigest(),
        },
    )
    elsewhere = [
        checked.model_copy(update={"aiter": other, field: other})
        for field, other in (
            ("compiler", "clang 99"),
            ("code_generator", "another LLVM"),
            ("composable_kernel", "99"),
        )
    ]
    found = with_compared(made, modules, [checked, *elsewhere])
    said = [kernel.as_aiter for one in found.modules[0].instances for kernel in one.kernels]
    assert sorted(said, reverse=True)[:2] == [("AITER v1",), ()]
    assert said.count(("AITER v1",)) == 1
