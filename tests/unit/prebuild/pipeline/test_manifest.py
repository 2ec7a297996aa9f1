from __future__ import annotations

import dataclasses
from pathlib import Path

from aiter_prebuilt.wheel.manifest import BuildRecord, LeftOut
from prebuild.core.source import SourceState
from prebuild.pipeline.manifest import make_manifest
from prebuild.toolchain import Toolchain
from prebuild.toolchain.model import CodeGenerator
from tests.unit.prebuild.samples import FLAGS, kimi_plan, toolchain


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
        identity="amd",
    )
    made = record(toolchain(tmp_path, codegen=amd))
    assert (made.compiler, made.code_generator) == ("clang 22", "AMD LLVM 22")
    assert [(entry.what, entry.reason) for entry in made.left_out[:4]] == [
        ("-mllvm -x", "unknown"),
        ("attribute newer", "harmless"),
        ("feature cube", "granted"),
        ("feature sad", "granted"),
    ]


def test_clang_alone_has_no_code_generator_beside_it(tmp_path: Path) -> None:
    made = record(toolchain(tmp_path))
    assert made.code_generator is None
    assert not [entry for entry in made.left_out if entry.what.startswith(("attribute", "feature"))]


def test_the_record_says_whose_composable_kernel_it_was(tmp_path: Path) -> None:
    assert record(toolchain(tmp_path)).ck_origin is None
    named = dataclasses.replace(toolchain(tmp_path), ck_origin="AITER v1 (commit c)")
    assert record(named).ck_origin == "AITER v1 (commit c)"
