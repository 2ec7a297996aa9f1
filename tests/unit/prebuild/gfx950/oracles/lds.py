"""LDS instructions against a list of dwords."""

from __future__ import annotations

import numpy as np

from tests.unit.prebuild.gfx950.oracles.kit import M32, WAVE, Check, Kit
from tests.unit.prebuild.gfx950.oracles.memory import ACTIVE, EXEC, OLD, registers

DWORDS = {"b32": 1, "b64": 2, "b128": 4}


def elements(mnemonic: str) -> tuple[int, list[int], str]:
    """Return dwords of an element, the dword offset of each, and the modifiers that say so."""
    _, verb, kind = mnemonic.split("_")
    dwords = DWORDS[kind]
    if "2" not in verb:
        return dwords, [16], " offset:64"
    stride = dwords * (64 if "st64" in verb else 1)
    return dwords, [stride, 3 * stride], " offset0:1 offset1:3"


def setting(kit: Kit, dwords: int) -> tuple[object, list[int], list[int]]:
    random = np.random.default_rng(dwords)
    bench = kit.bench()
    held = random.integers(0, M32, bench.lds.words.size)
    bench.lds.words[...] = held
    bench.lds.undefined[...] = False
    step = dwords if dwords < 3 else 1
    places = (random.permutation(WAVE) * 4 // step * step).tolist()
    bench.set(1, [4 * place for place in places])
    bench.wave.set_exec(EXEC)
    return bench, held.tolist(), places


def check_read(kit: Kit, mnemonic: str) -> None:
    dwords, offsets, modifiers = elements(mnemonic)
    bench, held, places = setting(kit, dwords)
    count = dwords * len(offsets)
    for dword in range(count):
        bench.set(20 + dword, [OLD] * WAVE)
    bench.run(f"{mnemonic} {registers(20, count)}, v1{modifiers}")
    assert bench.ints(20) == [OLD] * WAVE  # not before it is waited for
    bench.land()
    for number, offset in enumerate(offsets):
        for dword in range(dwords):
            expected = [
                held[places[lane] + offset + dword] if lane in ACTIVE else OLD
                for lane in range(WAVE)
            ]
            assert bench.ints(20 + number * dwords + dword) == expected


def check_write(kit: Kit, mnemonic: str) -> None:
    dwords, offsets, modifiers = elements(mnemonic)
    bench, held, places = setting(kit, dwords)
    names = []
    for number in range(len(offsets)):
        names.append(registers(20 + number * dwords, dwords))
        for dword in range(dwords):
            values = [1000 * (number + 1) + 100 * dword + lane for lane in range(WAVE)]
            bench.set(20 + number * dwords + dword, values)
    bench.run(f"{mnemonic} v1, {', '.join(names)}{modifiers}")
    for number, offset in enumerate(offsets):
        for lane in ACTIVE:
            for dword in range(dwords):
                held[places[lane] + offset + dword] = 1000 * (number + 1) + 100 * dword + lane
    assert bench.lds.words.tolist() == held


READS = "ds_read_b32 ds_read_b64 ds_read_b128 ds_read2_b64 ds_read2st64_b64"
WRITES = "ds_write_b32 ds_write_b128 ds_write2_b32 ds_write2st64_b32"
CHECKS: dict[str, Check] = {
    **dict.fromkeys(READS.split(), check_read),
    **dict.fromkeys(WRITES.split(), check_write),
}
