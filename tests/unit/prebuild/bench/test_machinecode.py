from __future__ import annotations

import pytest

from prebuild.bench.machinecode import differences, kernels

TEXT = """
Disassembly of section .text:

0000000000003000 <kernel>:
\ts_getpc_b64 s[34:35]                                       // 0000000031C4: BEA21C00
\ts_add_u32 s34, s34, {low}                             // 0000000031C8: 8022FF22 FFFFED78
\ts_addc_u32 s35, s35, {high}                       // 0000000031D0: 8223FF23 FFFFFFFF
\ts_mov_b32 s0, {value}                                 // 0000000031D8: BE8000FF
\ts_cbranch_scc1 9                                       // 0000000031DC: BF850009 <kernel+0x40>
\ts_endpgm                                                   // 0000000031E0: BF810000
{padding}
0000000000004000 <flush>:
\ts_endpgm                                                   // 000000004000: BF810000
"""


def text(**changes: str) -> str:
    values = {"low": "0xffffed78", "high": "lit(0xffffffff)", "value": "0x5040100", "padding": ""}
    return TEXT.format(**(values | changes))


def test_address_literals_and_padding_do_not_count() -> None:
    one = kernels(text())
    other = kernels(text(low="0x10", high="0x0", padding="\ts_nop 0   // 0: BF\n\ts_code_end //"))
    assert one == other
    assert differences(one, other) == []
    assert list(one) == ["kernel", "flush"]


def test_zeros_at_the_end_are_padding_though_they_decode() -> None:
    zeros = "\tv_cndmask_b32_e32 v0, s0, v0, vcc     // 000000013BFC: 00000000\n\t\t..."
    assert kernels(text(padding=zeros)) == kernels(text())
    real = zeros.replace(": 00000000", ": 00000001")
    assert kernels(text(padding=real)) != kernels(text())


@pytest.mark.parametrize(
    "changed", [{"value": "0x5040101"}, {"padding": "\tv_nop   // 00"}, {"low": "s7"}]
)
def test_any_other_change_counts(changed: dict[str, str]) -> None:
    (problem,) = differences(kernels(text()), kernels(text(**changed)))
    assert problem.startswith("kernel")


def test_missing_kernel_is_named() -> None:
    one = kernels(text())
    assert differences(one, {"flush": one["flush"]}) == ["kernel...: not in the other object"]


def test_literals_far_from_the_program_counter_count() -> None:
    far = "\ts_nop 1\n" * 5 + "\ts_add_u32 s0, s0, 0x{}\n\ts_endpgm\n"
    begin = "0000000000003000 <k>:\n\ts_getpc_b64 s[0:1]\n"
    assert kernels(begin + far.format(10)) != kernels(begin + far.format(20))
