"""Scalar instructions against Python's integers; SCC by the ISA document."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.unit.prebuild.gfx950.oracles.kit import (
    EDGES32,
    EDGES64,
    M32,
    M64,
    Check,
    Kit,
    batches,
    signed,
)

KEPT = None
"""SCC stays what it was."""
Result = tuple[int, bool | None]


def nonzero(value: int, width: int = 32) -> Result:
    return value, value % (1 << width) != 0


def outside(value: int) -> bool:
    return not -(2**31) <= value < 2**31


def field(a: int, b: int) -> tuple[int, int]:
    width = b >> 16 & 127
    return a >> b % 32 & (1 << width) - 1, width


def bitwise(function: Callable[[int, int], int], width: int) -> Callable[[int, int], Result]:
    return lambda a, b: nonzero(function(a, b), width)


BITS: dict[str, Callable[[int, int], int]] = {
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "andn2": lambda a, b: a & ~b,
}
TWO: dict[str, tuple[tuple[int, int, int], Callable[[int, int], Result]]] = {
    "s_add_u32": ((32, 32, 32), lambda a, b: (a + b, a + b >= M32)),
    "s_add_i32": ((32, 32, 32), lambda a, b: (a + b, outside(signed(a) + signed(b)))),
    "s_sub_i32": ((32, 32, 32), lambda a, b: (a - b, outside(signed(a) - signed(b)))),
    "s_mul_i32": ((32, 32, 32), lambda a, b: (a * b, KEPT)),
    "s_mul_hi_i32": ((32, 32, 32), lambda a, b: (signed(a) * signed(b) >> 32, KEPT)),
    "s_lshl_b32": ((32, 32, 32), lambda a, b: nonzero(a << b % 32)),
    "s_lshr_b32": ((32, 32, 32), lambda a, b: nonzero(a >> b % 32)),
    "s_ashr_i32": ((32, 32, 32), lambda a, b: nonzero(signed(a) >> b % 32)),
    "s_max_i32": ((32, 32, 32), lambda a, b: (max(a, b, key=signed), signed(a) > signed(b))),
    "s_lshl1_add_u32": ((32, 32, 32), lambda a, b: (a + a + b, a + a + b >= M32)),
    "s_bfe_u32": ((32, 32, 32), lambda a, b: nonzero(field(a, b)[0])),
    "s_bfe_i32": (
        (32, 32, 32),
        lambda a, b: nonzero(signed(*field(a, b)) if field(a, b)[1] else 0),
    ),
    "s_lshl_b64": ((64, 64, 32), lambda a, b: nonzero(a << b % 64, 64)),
    "s_lshr_b64": ((64, 64, 32), lambda a, b: nonzero(a // 2 ** (b % 64), 64)),
    "s_ashr_i64": ((64, 64, 32), lambda a, b: nonzero(signed(a, 64) >> b % 64, 64)),
    **{
        f"s_{name}_b{width}": ((width, width, width), bitwise(function, width))
        for name, function in BITS.items()
        for width in (32, 64)
        if (name, width) != ("xor", 32)
    },
}
"""Name -> bits of the result and of the sources, and value and SCC."""


def lowest(a: int) -> Result:
    return next((at for at in range(64) if a >> at & 1), -1), KEPT


ONE: dict[str, tuple[tuple[int, int], Callable[[int], Result]]] = {
    "s_mov_b32": ((32, 32), lambda a: (a, KEPT)),
    "s_mov_b64": ((64, 64), lambda a: (a, KEPT)),
    "s_brev_b32": ((32, 32), lambda a: (int(f"{a:032b}"[::-1], 2), KEPT)),
    "s_ff1_i32_b64": ((32, 64), lowest),
}


def place(bench: Any, register: int, value: int, width: int) -> str:
    bench.set_scalar(register, value % M32, value >> 32)
    return f"s{register}" if width == 32 else f"s[{register}:{register + 1}]"


def result(bench: Any, register: int, width: int) -> int:
    return bench.wave.s[register] if width == 32 else bench.wave.get64(register)


def check_result(kit: Kit, mnemonic: str, widths: tuple[int, ...], oracle: Any) -> None:
    out, *sources = widths
    edges = (*EDGES32, 0x00050003, 0x00200000, *(EDGES64 if 64 in sources else ()))
    bench = kit.bench()
    for number, row in enumerate(rows(edges, len(sources))):
        values = [value % (1 << width) for value, width in zip(row, sources, strict=True)]
        names = [
            place(bench, 4 + 2 * at, value, width)
            for at, (value, width) in enumerate(zip(values, sources, strict=True))
        ]
        bench.wave.scc, bench.wave.scc_undefined = number & 1, False
        target = "s20" if out == 32 else "s[20:21]"
        bench.run(f"{mnemonic} {target}, {', '.join(names)}")
        value, carry = oracle(*values)
        assert result(bench, 20, out) == value % (1 << out), values
        assert bench.wave.scc == (number & 1 if carry is KEPT else int(carry)), values


def rows(edges: Sequence[int], sources: int) -> Iterator[tuple[int, ...]]:
    """Yield the values of each run: every tuple of edges, and random ones."""
    for columns in batches(edges, sources, 64, seed=13):
        yield from zip(*columns, strict=True)


def check_two(kit: Kit, mnemonic: str) -> None:
    check_result(kit, mnemonic, *TWO[mnemonic])


def check_one(kit: Kit, mnemonic: str) -> None:
    check_result(kit, mnemonic, *ONE[mnemonic])


def check_addc(kit: Kit, mnemonic: str) -> None:
    bench = kit.bench()
    for a in EDGES32:
        for b in EDGES32:
            for scc in (0, 1):
                bench.set_scalar(4, a, b)
                bench.wave.scc, bench.wave.scc_undefined = scc, False
                bench.run(f"{mnemonic} s6, s4, s5")
                total = a + b + scc
                assert bench.wave.s[6] == total % M32
                assert bench.wave.scc == int(total >= M32)


def check_cselect(kit: Kit, mnemonic: str) -> None:
    width = int(mnemonic[-2:])
    for scc in (0, 1):
        bench = kit.bench()
        yes, no = place(bench, 4, 0x1122334455667788, width), place(bench, 6, 0x99AABBCCDD, width)
        bench.wave.scc, bench.wave.scc_undefined = scc, False
        bench.run(f"{mnemonic} {'s20' if width == 32 else 's[20:21]'}, {yes}, {no}")
        assert bench.wave.scc == scc
        chosen = 0x1122334455667788 if scc else 0x99AABBCCDD
        assert result(bench, 20, width) == chosen % (1 << width)


TESTS: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq,
    "lg": operator.ne,
    "lt": operator.lt,
    "ge": operator.ge,
}


def check_compare(kit: Kit, mnemonic: str) -> None:
    _, _, verb, kind = mnemonic.split("_")
    width = int(kind[1:])
    edges = EDGES32 if width == 32 else EDGES64
    bench = kit.bench()
    for a in edges:
        for b in edges:
            names = place(bench, 4, a, width), place(bench, 6, b, width)
            bench.run(f"{mnemonic} {names[0]}, {names[1]}")
            read = [signed(one, width) if kind[0] == "i" else one for one in (a, b)]
            assert bench.wave.scc == int(TESTS[verb](*read))


SHORT: dict[str, Callable[[int, int], Result]] = {
    "s_movk_i32": lambda _, short: (short, KEPT),
    "s_addk_i32": lambda old, short: (old + short, outside(signed(old) + short)),
}


def check_short(kit: Kit, mnemonic: str) -> None:
    bench = kit.bench()
    for old in EDGES32:
        for short in (0, 1, 0x7FFF, 0x8000, 0xFFFF):
            bench.set_scalar(4, old)
            bench.wave.scc, bench.wave.scc_undefined = 1, False
            bench.run(f"{mnemonic} s4, {short:#x}")
            value, carry = SHORT[mnemonic](old, signed(short, 16))
            assert bench.wave.s[4] == value % M32
            assert bench.wave.scc == (1 if carry is KEPT else int(carry))


def check_bitset(kit: Kit, mnemonic: str) -> None:
    bench = kit.bench()
    for old in EDGES32:
        for bit in (0, 11, 31, 32, 0x7F, M32 - 1):
            for scc in (0, 1):
                bench.set_scalar(4, old, bit)
                bench.wave.scc, bench.wave.scc_undefined = scc, False
                bench.run(f"{mnemonic} s4, s5")
                digits = f"{old:032b}"[::-1]
                at = bit % 32
                assert f"{bench.wave.s[4]:032b}"[::-1] == f"{digits[:at]}1{digits[at + 1 :]}"
                assert bench.wave.scc == scc


def check_saveexec(kit: Kit, mnemonic: str) -> None:
    function = BITS[mnemonic.split("_")[1]]
    for mask in EDGES64:
        for old in (0, 0xFFFF00000000, M64 - 1):
            bench = kit.bench()
            bench.wave.set_exec(old)
            bench.run(f"{mnemonic} s[20:21], {place(bench, 4, mask, 64)}")
            assert bench.wave.get64(20) == old
            assert bench.wave.exec == function(mask, old) % M64
            assert bench.wave.scc == int(bench.wave.exec != 0)


COMPARED = "eq_u32 lg_u32 lg_u64 lt_i32 ge_i32"
CHECKS: dict[str, Check] = {
    **dict.fromkeys(TWO, check_two),
    **dict.fromkeys(ONE, check_one),
    "s_addc_u32": check_addc,
    **dict.fromkeys(("s_cselect_b32", "s_cselect_b64"), check_cselect),
    **{f"s_cmp_{test}": check_compare for test in COMPARED.split()},
    **dict.fromkeys(SHORT, check_short),
    "s_bitset1_b32": check_bitset,
    **{f"s_{name}_saveexec_b64": check_saveexec for name in ("and", "or", "andn2")},
}
