"""Whole programs: branches, barriers, waits, and what the machine refuses."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from prebuild.gfx950 import machine as module
from prebuild.gfx950.codeobject import CodeObject, Descriptor
from prebuild.gfx950.disassembly import Instruction, parse_line
from prebuild.gfx950.errors import (
    DataRace,
    MissingWait,
    Runaway,
    UndefinedValue,
    UnsupportedInstruction,
)
from prebuild.gfx950.launch import Launch
from prebuild.gfx950.program import build_program

KERNARG = struct.pack("<4i", 11, 22, 33, 44)


def test_a_load_must_be_waited_for(machine: Any) -> None:
    lines = [
        "s_load_dword s4, s[0:1], 0x4",
        "s_waitcnt lgkmcnt(0)",
        "s_add_i32 s5, s4, 1",
        "s_endpgm",
    ]
    machine(lines, kernarg=KERNARG).run()
    del lines[1]
    with pytest.raises(MissingWait, match=r"s4 used .*lgkmcnt(.|\n)*s_add_i32"):
        machine(lines, kernarg=KERNARG).run()


def test_a_scalar_load_is_sure_only_when_nothing_is_outstanding(machine: Any) -> None:
    lines = [
        "s_load_dword s4, s[0:1], 0x4",
        "s_load_dword s5, s[0:1], 0x8",
        "s_waitcnt lgkmcnt(1)",
        "s_add_i32 s6, s4, 1",
        "s_endpgm",
    ]
    with pytest.raises(MissingWait):
        machine(lines, kernarg=KERNARG).run()


def test_lds_results_arrive_in_order(machine: Any) -> None:
    lines = [
        "v_lshlrev_b32_e32 v1, 2, v0",
        "ds_write_b32 v1, v0",
        "ds_read_b32 v2, v1",
        "ds_read_b32 v3, v1",
        "s_waitcnt lgkmcnt(1)",
        "v_mov_b32_e32 v4, v2",
        "v_mov_b32_e32 v5, v3",
        "s_endpgm",
    ]
    with pytest.raises(MissingWait, match=r"v3 used(.|\n)*v_mov_b32_e32 v5, v3"):
        machine(lines).run()


def test_counters_are_separate(machine: Any) -> None:
    lines = [
        "s_load_dword s4, s[0:1], 0x4",
        "s_waitcnt vmcnt(0)",
        "s_add_i32 s5, s4, 1",
        "s_endpgm",
    ]
    with pytest.raises(MissingWait):
        machine(lines, kernarg=KERNARG).run()


def test_a_loop(machine: Any) -> None:
    lines = [
        "s_mov_b32 s4, 0",
        "s_add_i32 s4, s4, 3",
        "s_cmp_lt_i32 s4, 30",
        "s_cbranch_scc1 @1",
        "s_endpgm",
    ]
    execution = machine(lines).run()
    assert execution.executed["s_add_i32"] == 10
    assert execution.unreached == []


def test_a_branch_on_nothing_is_an_error(machine: Any) -> None:
    with pytest.raises(UndefinedValue, match="SCC"):
        machine(["s_cbranch_scc1 @0", "s_endpgm"]).run()


def test_a_loop_without_end_ends(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INSTRUCTIONS", 1000)
    with pytest.raises(Runaway):
        machine(["s_branch @0"]).run()


def test_waves_meet_at_a_barrier(machine: Any) -> None:
    # Each wave writes its number; after the barrier wave 0 reads what wave 1 wrote.
    lines = [
        "v_lshlrev_b32_e32 v1, 2, v0",
        "ds_write_b32 v1, v0",
        "s_waitcnt lgkmcnt(0)",
        "s_barrier",
        "v_xor_b32_e32 v1, 0x100, v1",
        "ds_read_b32 v2, v1",
        "s_waitcnt lgkmcnt(0)",
        "v_readfirstlane_b32 s4, v2",
        "s_endpgm",
    ]
    seen = {}
    made = machine(lines, threads=128)
    made.trace = lambda wave, found: seen.setdefault((wave.number, found.mnemonic), wave.s[4])
    made.run()
    assert seen[0, "s_endpgm"] == 64
    assert seen[1, "s_endpgm"] == 0


def test_without_the_barrier_it_is_a_race(machine: Any) -> None:
    lines = [
        "v_lshlrev_b32_e32 v1, 2, v0",
        "ds_write_b32 v1, v0",
        "s_waitcnt lgkmcnt(0)",
        "v_xor_b32_e32 v1, 0x100, v1",
        "ds_read_b32 v2, v1",
        "s_endpgm",
    ]
    with pytest.raises(DataRace, match="since the last barrier"):
        machine(lines, threads=128).run()


def test_a_write_that_is_not_waited_for_may_land_after_the_barrier(machine: Any) -> None:
    lines = [
        "v_lshlrev_b32_e32 v1, 2, v0",
        "ds_write_b32 v1, v0",
        "s_nop 0",
        "s_barrier",
        "v_xor_b32_e32 v1, 0x100, v1",
        "ds_read_b32 v2, v1",
        "s_endpgm",
    ]
    with pytest.raises(DataRace, match="reads LDS dword"):
        machine(lines, threads=128).run()
    lines[2] = "s_waitcnt lgkmcnt(0)"
    machine(lines, threads=128).run()


def test_workgroup_and_work_item_ids(machine: Any) -> None:
    seen = {}
    made = machine(["s_nop 0", "s_endpgm"])
    made.trace = lambda wave, _: seen.setdefault("s", [*wave.s[2:5], int(wave.rows[0][5])])
    made.run([(7, 8, 9)])
    assert seen["s"] == [7, 8, 9, 5]


def test_exec_masks_and_saves(machine: Any) -> None:
    lines = [
        "v_cmp_gt_i32_e32 vcc, 10, v0",
        "s_and_saveexec_b64 s[4:5], vcc",
        "v_mov_b32_e32 v1, 1",
        "s_cbranch_execz @4",
        "s_or_b64 exec, exec, s[4:5]",
        "s_endpgm",
    ]
    masks = []
    made = machine(lines)
    made.trace = lambda wave, _: masks.append(wave.exec)
    made.run()
    assert masks[2] == 0x3FF
    assert masks[-1] == 2**64 - 1


def test_exec_of_undefined_bits_is_an_error(machine: Any) -> None:
    with pytest.raises(UndefinedValue):
        machine(["s_and_saveexec_b64 s[4:5], s[10:11]", "s_endpgm"]).run()


@pytest.mark.parametrize(
    "line",
    [
        "v_frobnicate_b32 v0, v1",
        "buffer_load_dword v0, v1, s[8:11], 0 idxen",
        "v_add_f32_e64 v0, v1, v2 frob:1",
        "v_mov_b32_dpp v0, v1 row_shr:1 row_mask:0xf bank_mask:0xf bound_ctrl:1",
        "s_setreg_imm32_b32 hwreg(HW_REG_TRAPSTS, 0, 1), 1",
        "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 0, 4), 1",
        "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 4), 3",
        "v_ldexp_f32_sdwa v0, v1, v2 dst_sel:DWORD src0_sel:WORD_1 src1_sel:DWORD",
    ],
)
def test_what_is_not_known_is_named(machine: Any, line: str) -> None:
    with pytest.raises(UnsupportedInstruction, match=line.split(maxsplit=1)[0]):
        machine([line, "s_endpgm"])


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("v_frobnicate_b32 v0, v1", "isa/integer.py"),
        ("v_frobnicate_f32 v0, v1", "isa/single.py"),
        ("v_frobnicate_u64 v0, v1", "isa/wide.py"),
        ("v_cvt_pk_frob_f32 v0, v1", "isa/convert.py"),
        ("v_mfma_f32_4x4x4_frob v0, v1", "isa/matrix.py"),
        ("s_frobnicate_b32 s0, s1", "isa/salu.py"),
        ("s_load_frob s0, s[2:3], 0x0", "isa/smem.py"),
        ("ds_frobnicate_b32 v0, v1", "isa/lds.py"),
        ("global_frobnicate v0, v1", "isa/vmem.py"),
        ("image_frobnicate v0, v1", "a new module beside"),
        ("v_and_or_b32_dpp v0, v1, v2, v3 row_mirror", "isa/integer.py"),
        ("v_mad_u64_u32_dpp v[0:1], s[0:1], v1, v2, v[3:4]", "isa/wide.py"),
        ("v_fma_f32 v0, v1, v2, v3 div:2", "isa/single.py"),
    ],
)
def test_the_error_says_where_the_semantics_belong(machine: Any, line: str, file: str) -> None:
    with pytest.raises(UnsupportedInstruction, match=file):
        machine([line, "s_endpgm"])


def _code(**changes: Any) -> CodeObject:
    descriptor = Descriptor(
        symbol="k", entry=0, size=12, lds_bytes=0, scratch_bytes=0, kernarg_bytes=0, vgprs=8,
        accum_offset=4, denormals_f32=0, denormals_f16_f64=3, user_sgprs=0,
        properties=0, workgroup_ids=(True, False, False), workitem_id_dims=0,
        preload_length=0, preload_offset=0,
    )  # fmt: skip
    return CodeObject(
        sha256="", segments=(), kernels={"k": replace(descriptor, **changes)}, data=b""
    )


def _listing(*lines: str) -> dict[int, Instruction]:
    return {4 * at: parse_line(line, 4 * at, ["0"]) for at, line in enumerate(lines)}


def test_all_that_a_kernel_needs_and_lacks_is_said_at_once() -> None:
    lines = ("v_frobnicate_b32 v0, v1", "s_frob_b32 s0, s1", "v_frobnicate_b32 v0, v1")
    with pytest.raises(UnsupportedInstruction) as raised:
        build_program(_code(), _listing(*lines), "k")
    text = str(raised.value)
    assert "v_frobnicate_b32" in text.splitlines()[0]
    assert "(2 times)" in text
    assert "s_frob_b32" in text
    assert text.endswith("in kernel k")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rounding": 3}, "rounding mode"),
        ({"denormals_f16_f64": 0}, "f16"),
        ({"ieee": False}, "IEEE"),
        ({"dx10_clamp": False}, "DX10"),
    ],
)
def test_a_mode_that_is_not_modelled_is_refused(changes: dict[str, Any], named: str) -> None:
    build_program(_code(), _listing("s_nop 0", "s_nop 0", "s_endpgm"), "k")
    with pytest.raises(UnsupportedInstruction, match=named):
        build_program(_code(**changes), _listing("s_nop 0", "s_nop 0", "s_endpgm"), "k")


def test_hidden_arguments_follow_the_explicit_ones() -> None:
    launch = Launch(symbol="k", grid=(5, 6, 7), block=(64, 2, 1), kernarg=bytes(20))
    segment, defined = launch.segment(280)
    assert struct.unpack_from("<3I3H", segment, 24) == (5, 6, 7, 64, 2, 1)
    assert (len(segment), defined) == (280, 24 + 24)
    assert launch.segment(20) == (bytes(20), 20)


def test_an_argument_that_hip_does_not_fill_is_undefined(machine: Any) -> None:
    made = machine(["s_load_dword s4, s[0:1], 0x0", "s_waitcnt lgkmcnt(0)", "s_cmp_eq_u32 s4, 0",
                    "s_cbranch_scc1 @4", "s_endpgm"], kernarg=KERNARG)  # fmt: skip
    made.run()
    lines = ["s_load_dword s4, s[0:1], 0x60", "s_waitcnt lgkmcnt(0)", "s_cmp_eq_u32 s4, 0",
             "s_cbranch_scc1 @4", "s_endpgm"]  # fmt: skip
    with pytest.raises(UndefinedValue):
        machine(lines, kernarg=KERNARG, kernarg_bytes=128).run()
