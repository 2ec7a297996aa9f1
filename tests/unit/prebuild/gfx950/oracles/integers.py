"""Vector integer instructions against Python's integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.unit.prebuild.gfx950.oracles.kit import (
    EDGES32,
    EDGES64,
    M32,
    M64,
    WAVE,
    Check,
    Kit,
    batches,
    form_of,
    formed,
    set_wide,
    signed,
    wide,
)

Oracle = Callable[..., int]


def field(value: int, offset: int, width: int) -> int:
    return value >> offset % 32 & (1 << width % 32) - 1


def permuted_bytes(high: int, low: int, select: int) -> int:
    pool = (high << 32 | low).to_bytes(8, "little")
    chosen = select.to_bytes(4, "little")
    return int.from_bytes([0 if at == 12 else pool[at] for at in chosen], "little")


LANES: dict[str, tuple[int, Oracle]] = {
    "v_mov_b32": (1, lambda a: a),
    "v_not_b32": (1, lambda a: ~a),
    "v_bfrev_b32": (1, lambda a: int(f"{a:032b}"[::-1], 2)),
    "v_accvgpr_read_b32": (1, lambda a: a),
    "v_accvgpr_write_b32": (1, lambda a: a),
    "v_accvgpr_mov_b32": (1, lambda a: a),
    "v_add_u32": (2, lambda a, b: a + b),
    "v_sub_u32": (2, lambda a, b: a - b),
    "v_subrev_u32": (2, lambda a, b: b - a),
    "v_and_b32": (2, lambda a, b: a & b),
    "v_or_b32": (2, lambda a, b: a | b),
    "v_xor_b32": (2, lambda a, b: a ^ b),
    "v_lshlrev_b32": (2, lambda a, b: b << a % 32),
    "v_lshrrev_b32": (2, lambda a, b: b >> a % 32),
    "v_ashrrev_i32": (2, lambda a, b: signed(b) >> a % 32),
    "v_mul_lo_u32": (2, lambda a, b: a * b),
    "v_mul_u32_u24": (2, lambda a, b: a % 2**24 * (b % 2**24)),
    "v_add3_u32": (3, lambda a, b, c: a + b + c),
    "v_or3_b32": (3, lambda a, b, c: a | b | c),
    "v_and_or_b32": (3, lambda a, b, c: a & b | c),
    "v_lshl_or_b32": (3, lambda a, b, c: a << b % 32 | c),
    "v_lshl_add_u32": (3, lambda a, b, c: (a << b % 32) + c),
    "v_add_lshl_u32": (3, lambda a, b, c: (a + b) % M32 << c % 32),
    "v_bfe_u32": (3, field),
    "v_bfe_i32": (3, lambda a, b, c: signed(field(a, b, c), c % 32) if c % 32 else 0),
    "v_bfi_b32": (3, lambda a, b, c: a & b | ~a & c),
}
"""Name -> sources and what a lane gets of them, all 32 bits."""
_ACCUMULATORS = {
    "v_accvgpr_read_b32": ("v0", "a1"),
    "v_accvgpr_write_b32": ("a0", "v1"),
    "v_accvgpr_mov_b32": ("a0", "a1"),
}


def check_lanes(kit: Kit, mnemonic: str) -> None:
    name = mnemonic.removesuffix(f"_{form_of(mnemonic)}")
    count, oracle = LANES[name]
    names = _ACCUMULATORS.get(name, ("v0", *(f"v{at + 1}" for at in range(count))))
    base = [256 if one.startswith("a") else 0 for one in names]
    for sources in batches(EDGES32, count, 32, seed=count):
        bench = kit.bench()
        for at, values in enumerate(sources, 1):
            bench.set((base[at] if at < len(base) else 0) + at, values)
        extra, seen = formed(mnemonic, sources)
        bench.run(f"{mnemonic} {', '.join(names)}{extra}")
        expected = [oracle(*values) % M32 for values in zip(*seen, strict=True)]
        assert bench.ints(base[0]) == expected


def check_perm(kit: Kit, mnemonic: str) -> None:
    random = np.random.default_rng(5)
    high, low = random.integers(0, M32, (2, WAVE)).tolist()
    selects = random.choice([0, 1, 2, 3, 4, 5, 6, 7, 12], (WAVE, 4)).astype(np.uint8)
    select = [int.from_bytes(row.tobytes(), "little") for row in selects]
    bench = kit.bench()
    for register, values in ((1, high), (2, low), (3, select)):
        bench.set(register, values)
    bench.run(f"{mnemonic} v0, v1, v2, v3")
    expected = [permuted_bytes(*row) for row in zip(high, low, select, strict=True)]
    assert bench.ints(0) == expected


def check_bitop3(kit: Kit, mnemonic: str) -> None:
    for table in range(256):
        bench = kit.bench()
        values = np.random.default_rng(table).integers(0, M32, (3, WAVE)).tolist()
        for register, column in enumerate(values, 1):
            bench.set(register, column)
        bench.run(f"{mnemonic} v0, v1, v2, v3 bitop3:{table:#x}")
        expected = [
            sum(
                (table >> (4 * (a >> i & 1) + 2 * (b >> i & 1) + (c >> i & 1)) & 1) << i
                for i in range(32)
            )
            for a, b, c in zip(*values, strict=True)
        ]
        assert bench.ints(0) == expected


def check_cndmask(kit: Kit, mnemonic: str) -> None:
    random = np.random.default_rng(6)
    sources = random.integers(0, M32, (2, WAVE)).tolist()
    mask = int(random.integers(0, M64, dtype=np.uint64))
    bench = kit.bench()
    bench.set(1, sources[0])
    bench.set(2, sources[1])
    bench.set_scalar(106, mask % M32, mask >> 32)
    extra, seen = formed(mnemonic, sources)
    bench.run(f"{mnemonic} v0, v1, v2, vcc{extra}")
    assert bench.ints(0) == [seen[mask >> lane & 1][lane] for lane in range(WAVE)]


WIDE: dict[str, tuple[tuple[int, ...], Oracle]] = {
    "v_mov_b64": ((64,), lambda a: a),
    "v_lshl_add_u64": ((64, 32, 64), lambda a, b, c: (a << b % 8) + c),
    "v_lshlrev_b64": ((32, 64), lambda a, b: b << a % 64),
}
"""Name -> width of each source, and the 64 bits that a lane gets."""


def check_wide(kit: Kit, mnemonic: str) -> None:
    widths, oracle = WIDE[mnemonic.removesuffix(f"_{form_of(mnemonic)}")]
    for sources in batches((*EDGES64, 0xFFFFFFFF00000000), len(widths), 64, seed=9):
        bench = kit.bench()
        names, seen = [], []
        for at, (width, values) in enumerate(zip(widths, sources, strict=True)):
            register = 10 + 2 * at
            set_wide(bench, register, values)
            names.append(f"v[{register}:{register + 1}]" if width == 64 else f"v{register}")
            seen.append([value % (1 << width) for value in values])
        bench.run(f"{mnemonic} v[0:1], {', '.join(names)}")
        expected = [oracle(*values) % M64 for values in zip(*seen, strict=True)]
        assert wide(bench, 0) == expected


def check_mad64(kit: Kit, mnemonic: str) -> None:
    for sources in batches(EDGES64, 3, 64, seed=3):
        left, right, addend = sources
        bench = kit.bench()
        bench.set(1, [value % M32 for value in left])
        bench.set(2, [value % M32 for value in right])
        set_wide(bench, 4, addend)
        bench.run(f"{mnemonic} v[6:7], s[2:3], v1, v2, v[4:5]")
        totals = [a % M32 * (b % M32) + c for a, b, c in zip(left, right, addend, strict=True)]
        assert wide(bench, 6) == [total % M64 for total in totals]
        carries = sum((total >> 64 & 1) << lane for lane, total in enumerate(totals))
        assert bench.wave.get64(2) == carries


def check_readfirstlane(kit: Kit, mnemonic: str) -> None:
    for mask in (0, 1, 0xFF00, 1 << 63, M64 - 1):
        bench = kit.bench()
        bench.set(1, [lane * 3 + 7 for lane in range(WAVE)])
        bench.wave.set_exec(mask)
        bench.run(f"{mnemonic} s5, v1")
        first = next((lane for lane in range(WAVE) if mask >> lane & 1), 0)
        assert bench.wave.s[5] == first * 3 + 7


def check_readlane(kit: Kit, mnemonic: str) -> None:
    for select in (0, 5, 63, 64, 200):
        bench = kit.bench()
        bench.set(1, [lane * 3 + 7 for lane in range(WAVE)])
        bench.set_scalar(4, select)
        bench.wave.set_exec(1)
        bench.run(f"{mnemonic} s5, v1, s4")
        assert bench.wave.s[5] == select % 64 * 3 + 7


def check_writelane(kit: Kit, mnemonic: str) -> None:
    bench = kit.bench()
    bench.set(1, list(range(WAVE)))
    bench.set_scalar(4, 1000)
    bench.wave.set_exec(1)
    bench.run(f"{mnemonic} v1, s4, 77")
    assert bench.ints(1) == [1000 if lane == 13 else lane for lane in range(WAVE)]


def check_mbcnt(kit: Kit, mnemonic: str) -> None:
    first = 32 if "_hi_" in mnemonic else 0
    for mask in (0, 0xFFFFFFFF, 0xA5A50F0F):
        bench = kit.bench()
        bench.set_scalar(4, mask)
        bench.set(1, [lane * 10 for lane in range(WAVE)])
        bench.run(f"{mnemonic} v0, s4, v1")
        below = [sum(mask >> i & 1 for i in range(32) if first + i < lane) for lane in range(WAVE)]
        assert bench.ints(0) == [lane * 10 + ones for lane, ones in enumerate(below)]


def check_packed_move(kit: Kit, mnemonic: str) -> None:
    for low in (0, 1):
        for high in (0, 1):
            bench: Any = kit.bench()
            for register in range(2, 6):
                bench.set(register, [register * 1000 + lane for lane in range(WAVE)])
            bench.run(f"{mnemonic} v[6:7], v[2:3], v[4:5] op_sel:[{low},{high}]")
            assert bench.ints(6) == bench.ints(2 + low)
            assert bench.ints(7) == bench.ints(4 + high)


CHECKS: dict[str, Check] = {
    **dict.fromkeys(LANES, check_lanes),
    **dict.fromkeys(WIDE, check_wide),
    "v_mad_u64_u32": check_mad64,
    "v_perm_b32": check_perm,
    "v_bitop3_b32": check_bitop3,
    "v_cndmask_b32": check_cndmask,
    "v_readfirstlane_b32": check_readfirstlane,
    "v_readlane_b32": check_readlane,
    "v_writelane_b32": check_writelane,
    "v_mbcnt_lo_u32_b32": check_mbcnt,
    "v_mbcnt_hi_u32_b32": check_mbcnt,
    "v_pk_mov_b32": check_packed_move,
}
