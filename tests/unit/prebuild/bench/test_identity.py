from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prebuild.bench.identity import Compared, Comparison, as_json, as_text, likeness_of, why_not
from prebuild.compile.units import Unit
from prebuild.gfx950.codeobject import CodeObject, Descriptor, Segment

KERNEL = Descriptor(
    symbol="k", entry=0x100, size=8, lds_bytes=64, scratch_bytes=0, kernarg_bytes=8, vgprs=8,
    accum_offset=4, denormals_f32=0, denormals_f16_f64=3, user_sgprs=2, properties=8,
    workgroup_ids=(True, False, False), workitem_id_dims=0, preload_length=0, preload_offset=0,
)  # fmt: skip
CODE = ("s_mov_b32 s0, 1", "s_endpgm")


def code_object(data: bytes, kernel: Descriptor = KERNEL) -> CodeObject:
    filler = replace(kernel, symbol="_Z12flush_icachev")
    return CodeObject(
        sha256="0" * 64,
        segments=(Segment(address=0x100, data=data, writable=False),),
        kernels={kernel.symbol: kernel, filler.symbol: filler},
        data=data,
    )


def likeness(theirs: CodeObject, code: tuple[str, ...] = CODE) -> tuple[str, str]:
    return likeness_of(code_object(b"12345678"), {"k": CODE}, theirs, {"k": code})


def test_the_same_bytes_elsewhere_in_an_object_are_the_same() -> None:
    moved = code_object(b"....12345678----", replace(KERNEL, entry=0x104))
    assert likeness(moved) == ("bytes", "")


def test_padding_behind_a_kernel_is_no_difference() -> None:
    longer = code_object(b"12345678\0\0\0\0", replace(KERNEL, size=12))
    assert likeness(longer) == ("code", "")


def test_other_addresses_are_the_same_code() -> None:
    assert likeness(code_object(b"1234ABCD")) == ("code", "")


def test_another_instruction_is_said() -> None:
    found = likeness(code_object(b"1234ABCD"), ("s_mov_b32 s0, 2", "s_endpgm"))
    assert found == ("other", "instruction 0 is 's_mov_b32 s0, 1', in the other 's_mov_b32 s0, 2'")


@pytest.mark.parametrize("field", ["vgprs", "lds_bytes", "scratch_bytes", "preload_length"])
def test_another_descriptor_is_other_code_though_the_bytes_are_the_same(field: str) -> None:
    theirs = code_object(b"12345678", replace(KERNEL, **{field: 99}))
    assert likeness(theirs)[0] == "other"
    assert likeness(theirs)[1].endswith("AITER's 99")


def test_a_kernel_that_aiter_has_not_is_absent() -> None:
    theirs = code_object(b"12345678", replace(KERNEL, symbol="other"))
    absent = "AITER's object has no kernel with these template arguments"
    assert likeness(theirs) == ("absent", absent)


def test_what_is_not_there_says_why() -> None:
    first, second = (
        Unit(
            sources={},
            id=name, kind="kernel", source=Path("s"), include=(), flags=(), key=name,
            object=Path(f"{name}.co"),
        )
        for name in ("one", "two")
    )  # fmt: skip
    said = [
        "FAILED: one.co",
        "a.hpp:3:1: error: too new",
        "FAILED: two.co",
        "b.hpp:4:1: error: other",
    ]
    assert why_not(None, said) == "AITER does not generate it"
    assert why_not(first, said) == "AITER's unit does not compile here: too new"
    assert why_not(second, said) == "AITER's unit does not compile here: other"
    assert why_not(second, []) == "AITER's unit does not compile here"


def compared(*kernels: Compared) -> Comparison:
    return Comparison(
        aiter="AITER v1",
        compiler="clang",
        code_generator="AMD LLVM",
        ck_version="7.2.4",
        ck_origin=None,
        flags=("--amdgpu-kernarg-preload-count=32",),
        kernels=kernels,
    )


def one(likeness: str, detail: str = "") -> Compared:
    return Compared(kernel="k", sha256="0" * 64, likeness=likeness, detail=detail)  # type: ignore[arg-type]


def test_the_text_names_both_sides_and_every_kernel_that_differs() -> None:
    lines = as_text(compared(one("bytes"), one("code"), one("other", "instruction 3")))
    assert lines[0] == ("AITER v1, both sides by clang, then AMD LLVM, composable kernel 7.2.4")
    assert "preload-count=32" in lines[1]
    assert lines[2] == "  k: other: instruction 3"
    assert lines[3].startswith(
        "2 of 3 kernels are AITER's: 1 byte for byte, 1 but for addresses; 1"
    )


def test_all_are_the_same_only_where_every_one_is() -> None:
    assert as_json(compared(one("bytes"), one("code")))["same"] is True
    assert as_json(compared(one("bytes"), one("absent")))["same"] is False
