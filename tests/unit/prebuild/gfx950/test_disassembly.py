"""Reading objdump's text."""

from __future__ import annotations

import pytest

from prebuild.gfx950.disassembly import parse, parse_line
from prebuild.gfx950.errors import CodeObjectError

TEXT = """
/x.co:\tfile format elf64-amdgpu

Disassembly of section .text:

0000000000003100 <kernel>:
\ts_cbranch_scc1 5373                         // 000000003138: BF8514FD <kernel+0x5430>
\tbuffer_load_dwordx4 v[4:7], v35, s[36:39], 0 offen offset:1024// 00000000354C: E05C1400 80090423
\t\t...
\ts_endpgm                                                   // 000000003560: BF810000
"""


def test_addresses_and_sizes() -> None:
    found = parse(TEXT)
    assert list(found) == [0x3138, 0x354C, 0x3560]
    assert found[0x354C].size == 8
    assert found[0x354C].modifiers == {"offen": "", "offset": "1024"}
    assert [operand.kind for operand in found[0x354C].operands] == ["v", "v", "s", "int"]


def test_a_line_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(CodeObjectError, match="not understood"):
        parse("\tgarbage without an address\n")


def test_text_without_code_is_an_error() -> None:
    with pytest.raises(CodeObjectError, match="no instruction"):
        parse("nothing here\n")


def test_operands() -> None:
    found = parse_line("v_fma_f32 v1, -|v2|, s3, 1.0")
    target, negated, scalar, constant = found.operands
    assert (target.kind, target.index) == ("v", 1)
    assert (negated.negate, negated.absolute, negated.index) == (True, True, 2)
    assert (scalar.kind, scalar.index) == ("s", 3)
    assert (constant.kind, constant.value) == ("float", 1.0)


def test_accumulation_registers_follow_the_others() -> None:
    found = parse_line("v_accvgpr_read_b32 v1, a3")
    assert found.operands[1].index == 256 + 3


def test_names_and_literals() -> None:
    found = parse_line("s_addc_u32 s1, vcc_hi, lit(0xffffffff)")
    assert found.operands[1].index == 107
    assert found.operands[2].value == 0xFFFFFFFF
    assert found.operands[2].literal


def test_wait_counters_are_modifiers() -> None:
    assert parse_line("s_waitcnt vmcnt(14) lgkmcnt(0)").modifiers == {"vmcnt": "14", "lgkmcnt": "0"}


def test_lists_stay_whole() -> None:
    found = parse_line(
        "v_mfma_scale_f32_16x16x128_f8f6f4 v[0:3], v[4:7], v[8:11], v[0:3], v24, v25"
        " op_sel:[0,1,0] op_sel_hi:[1,1,0] cbsz:4 blgp:4"
    )
    assert found.modifiers["op_sel_hi"] == "[1,1,0]"
    assert len(found.operands) == 6
