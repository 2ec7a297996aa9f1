"""Branches, waits, barriers and MODE, by small programs with a known path."""

from __future__ import annotations

import struct

import numpy as np

from tests.unit.prebuild.gfx950.oracles.kit import Check, Kit


def check_nothing(kit: Kit, mnemonic: str) -> None:
    """No register, mask or memory changes."""
    bench = kit.bench()
    bench.set(1, 7)
    wave = bench.wave
    before = (wave.v.copy(), list(wave.s), list(wave.vu), list(wave.su), wave.exec, wave.scc)
    bench.run(f"{mnemonic} 1")
    assert (wave.v == before[0]).all()
    assert (wave.s, wave.vu, wave.su, wave.exec, wave.scc) == before[1:]


def check_end(kit: Kit, mnemonic: str) -> None:
    made = kit.run_machine(["s_mov_b32 s20, 1", mnemonic, "s_mov_b32 s20, 2", "s_endpgm"])
    assert made.ended[0].s[20] == 1
    assert made.ended[0].done


def check_barrier(kit: Kit, mnemonic: str) -> None:
    """Each of two waves reads after it what the other one wrote before it."""
    made = kit.run_machine(
        [
            "v_lshlrev_b32_e32 v1, 2, v0",
            "ds_write_b32 v1, v0",
            "s_waitcnt lgkmcnt(0)",
            mnemonic,
            "v_xor_b32_e32 v1, 0x100, v1",
            "ds_read_b32 v2, v1",
            "s_waitcnt lgkmcnt(0)",
            "s_endpgm",
        ],
        threads=128,
    )
    assert made.ended[0].rows[2].tolist() == list(range(64, 128))
    assert made.ended[1].rows[2].tolist() == list(range(64))


def check_waitcnt(kit: Kit, mnemonic: str) -> None:
    """Loads land oldest first, as many as the count does not allow to be outstanding."""
    bench = kit.bench()
    bench.set(1, [4 * lane for lane in range(64)])
    bench.set(2, [lane + 5 for lane in range(64)])
    bench.run("ds_write_b32 v1, v2", "ds_read_b32 v3, v1", "ds_read_b32 v4, v1")
    stale = bench.ints(3)
    bench.run(f"{mnemonic} lgkmcnt(1)")
    assert bench.ints(3) == [lane + 5 for lane in range(64)]
    assert bench.ints(4) == stale
    bench.run(f"{mnemonic} vmcnt(0) lgkmcnt(0)")
    assert bench.ints(4) == [lane + 5 for lane in range(64)]


SET = {
    "s_branch": ("s_nop 0", None),
    "s_cbranch_scc1": ("s_cmp_eq_u32 s20, {}", 0),
    "s_cbranch_vccnz": ("v_cmp_eq_u32_e32 vcc, {}, v1", 0),
    "s_cbranch_vccz": ("v_cmp_ne_u32_e32 vcc, {}, v1", 0),
    "s_cbranch_execz": ("s_mov_b64 exec, {}", 0),
}
"""Name -> what prepares its condition, and the value for which it is taken (else it is 1)."""


def check_branch(kit: Kit, mnemonic: str) -> None:
    prepare, taken = SET[mnemonic]
    for value in (taken,) if taken is None else (taken, 1):
        made = kit.run_machine(
            [
                "s_mov_b32 s20, 0",
                "v_mov_b32_e32 v1, 0",
                prepare.format(value),
                f"{mnemonic} @5",
                "s_mov_b32 s20, 9",
                "s_endpgm",
            ]
        )
        assert made.ended[0].s[20] == (0 if value == taken else 9)


def check_getpc(kit: Kit, mnemonic: str) -> None:
    made = kit.run_machine(["s_nop 0", f"{mnemonic} s[20:21]", "s_endpgm"])
    assert made.ended[0].get64(20) == made.base + 8


def check_setreg(kit: Kit, mnemonic: str) -> None:
    """Denormals of float32 are kept after 3, flushed after 0."""
    for value, expected in ((3, 2), (0, 0)):
        bench = kit.bench()
        bench.wave.denorm32 = 3 - value
        bench.set(1, 1)
        bench.run(f"{mnemonic} hwreg(HW_REG_MODE, 4, 2), {value}", "v_add_f32_e32 v0, v1, v1")
        assert bench.ints(0)[0] == expected


def check_scalar_load(kit: Kit, mnemonic: str) -> None:
    count = int(mnemonic.partition("dwordx")[2] or 1)
    words = [at * 0x01010101 + 5 for at in range(24)]
    bench = kit.bench()
    found = bench.memory.allocate("in", _bytes(words))
    bench.set_scalar(2, found.base % 2**32, found.base >> 32)
    bench.set_scalar(1, 8)
    target = "s20" if count == 1 else f"s[20:{19 + count}]"
    for offset, first in (("0xc", 3), ("s1", 2)):
        bench.run(f"{mnemonic} {target}, s[2:3], {offset}")
        assert bench.wave.s[20] != words[first]
        bench.run("s_waitcnt lgkmcnt(0)")
        assert bench.wave.s[20 : 20 + count] == words[first : first + count]
        bench.set_scalar(20, *[0] * count)


def _bytes(words: list[int]) -> np.ndarray:
    return np.frombuffer(struct.pack(f"<{len(words)}I", *words), np.uint8)


CHECKS: dict[str, Check] = {
    **dict.fromkeys(SET, check_branch),
    **{f"s_load_dword{count}": check_scalar_load for count in ("", "x2", "x4", "x8")},
    "s_nop": check_nothing,
    "s_endpgm": check_end,
    "s_barrier": check_barrier,
    "s_waitcnt": check_waitcnt,
    "s_getpc_b64": check_getpc,
    "s_setreg_imm32_b32": check_setreg,
}
