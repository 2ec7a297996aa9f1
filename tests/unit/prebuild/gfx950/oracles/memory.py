"""Loads, stores and atomics against bytes read and written by Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tests.unit.prebuild.gfx950.exact import is_nan, rounded, value_of
from tests.unit.prebuild.gfx950.oracles.convert import half_value
from tests.unit.prebuild.gfx950.oracles.floats import total
from tests.unit.prebuild.gfx950.oracles.kit import FLOATS32, M32, WAVE, Check, Kit, batches

Number = Fraction | float

EXEC = 0xFFFF_00FF_FFFF_FFF5
ACTIVE = [lane for lane in range(WAVE) if EXEC >> lane & 1]
SIZE = 4096
WIDTHS = {"dword": 4, "dwordx2": 8, "dwordx3": 12, "dwordx4": 16}
OLD = 0xC0FFEE00


def registers(first: int, count: int) -> str:
    return f"v{first}" if count == 1 else f"v[{first}:{first + count - 1}]"


class Scene:
    """A memory of random bytes, an address for each lane, and the ways to name it."""

    def __init__(self, kit: Kit, name: str, *, step: int, writable: bool = False) -> None:
        random = np.random.default_rng(sum(name.encode()))
        self.bench = kit.bench()
        raw = random.integers(0, 256, SIZE, dtype=np.uint8)
        self.allocation = self.bench.memory.allocate("data", raw, writable=writable)
        self.before = bytes(raw)
        places = random.permutation((SIZE - 64) // step)[:WAVE] * step
        self.places = [int(place) for place in places]
        self.bench.wave.set_exec(EXEC)

    def after(self) -> bytes:
        return bytes(self.allocation.data[:SIZE])

    def forms(self, space: str, limit: int) -> list[tuple[str, str, int]]:
        """Return address operand, the rest of the line, and the bytes that are added to it."""
        base, bench = self.allocation.base, self.bench
        addresses = [base + place for place in self.places]
        bench.set(1, self.places)
        bench.set(2, [address % M32 for address in addresses])
        bench.set(3, [address >> 32 for address in addresses])
        bench.set_scalar(8, base % M32, base >> 32, limit, 0x20000)
        bench.set_scalar(6, base % M32, base >> 32)
        bench.set_scalar(12, 16)
        if space == "global":
            return [("v1", "s[6:7] offset:8", 8), ("v[2:3]", "off offset:4", 4)]
        return [("v1", "s[8:11], s12 offen offset:8", 24), ("v1", "s[8:11], 0 offen", 0)]


def split(mnemonic: str) -> tuple[str, str]:
    space, _, rest = mnemonic.partition("_")
    return space, rest.partition("_")[2]


def check_load(kit: Kit, mnemonic: str) -> None:
    space, width = split(mnemonic)
    count, limit = WIDTHS[width] // 4, 2048
    scene = Scene(kit, mnemonic, step=4)
    bench = scene.bench
    for address, rest, extra in scene.forms(space, limit):
        for dword in range(count):
            bench.wave.rows[20 + dword][...] = OLD
        bench.run(f"{mnemonic} {registers(20, count)}, {address}, {rest}")
        assert bench.ints(20) == [OLD] * WAVE  # not before it is waited for
        bench.land()
        for dword in range(count):
            expected = [OLD] * WAVE
            for lane in ACTIVE:
                at = scene.places[lane] + extra + 4 * dword
                inside = space == "global" or at + 4 <= limit
                word = int.from_bytes(scene.before[at : at + 4], "little")
                expected[lane] = word if inside else 0
            assert bench.ints(20 + dword) == expected


def check_store(kit: Kit, mnemonic: str) -> None:
    space, width = split(mnemonic)
    size = WIDTHS[width]
    count = size // 4
    for form in (0, 1):
        scene = Scene(kit, mnemonic, step=16, writable=True)
        bench = scene.bench
        address, rest, extra = scene.forms(space, 2048)[form]
        values = np.random.default_rng(size).integers(0, M32, (count, WAVE)).tolist()
        for dword in range(count):
            bench.set(20 + dword, values[dword])
        data = registers(20, count)
        order = f"{address}, {data}" if space == "global" else f"{data}, {address}"
        bench.run(f"{mnemonic} {order}, {rest}")
        expected = bytearray(scene.before)
        for lane in ACTIVE:
            raw = b"".join(values[dword][lane].to_bytes(4, "little") for dword in range(count))
            at = scene.places[lane] + extra
            for start in range(0, size, 4):
                end = min(start + 4, size)
                if space == "global" or at + end <= 2048:
                    expected[at + start : at + end] = raw[start:end]
        assert scene.after() == bytes(expected)


def halves(function: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda a, b: function(a % 2**16, b % 2**16) | function(a >> 16, b >> 16) << 16


def sum_bf16(a: int, b: int) -> int:
    return sum_of(value_of(a << 16), value_of(b << 16), a & b & 0x8000, fraction=7, exponent=8)


def sum_f16(a: int, b: int) -> int:
    return sum_of(half_value(a), half_value(b), a & b & 0x8000, fraction=10, exponent=5)


def sum_of(a: Number, b: Number, minus: int, *, fraction: int, exponent: int) -> int:
    """Encode a + b, rounded once to 16 bits; ``minus`` where a zero is negative."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return rounded(a + b, zero_sign=int(minus > 0), fraction=fraction, exponent=exponent)
    exact = float(a) + float(b)
    top = ((1 << exponent) - 1) << fraction
    return top | 1 if math.isnan(exact) else top | (0x8000 if exact < 0 else 0)


ATOMICS: dict[str, tuple[Callable[[int, int], int], int, Callable[[int], bool]]] = {
    "add_f32": (total, 32, is_nan),
    "pk_add_bf16": (halves(sum_bf16), 16, lambda code: code & 0x7FFF > 0x7F80),
    "pk_add_f16": (halves(sum_f16), 16, lambda code: code & 0x7FFF > 0x7C00),
}
"""Name -> the addition, the bits of one number, and what is NaN."""


def check_atomic(kit: Kit, mnemonic: str) -> None:
    """Two lanes a dword, so that the second one adds to the first one's sum."""
    space, name = split(mnemonic)
    add, bits, nan = ATOMICS[name]
    for old, new in batches(FLOATS32, 2, 32, seed=7):
        scene = Scene(kit, mnemonic, step=4, writable=True)
        bench = scene.bench
        scene.places = [4 * (lane // 2) for lane in range(WAVE)]
        words = scene.allocation.words.tolist()
        words[: 2 * WAVE] = old * 2
        scene.allocation.words[: 2 * WAVE] = old * 2
        address, rest, extra = scene.forms(space, 4096)[0]
        bench.set(20, new)
        order = f"{address}, v20" if space == "global" else f"v20, {address}"
        bench.run(f"{mnemonic} {order}, {rest}")
        for lane in ACTIVE:
            at = (scene.places[lane] + extra) // 4
            words[at] = add(words[at], new[lane])
        for found, want in zip(scene.allocation.words.tolist(), words, strict=True):
            for shift in range(0, 32, bits):
                one, other = (word >> shift & ((1 << bits) - 1) for word in (found, want))
                assert one == other or (nan(one) and nan(other)), f"{one:#x}, expected {other:#x}"
        logged = [value.tolist() for value in scene.allocation.atomics.values]
        assert logged == [[new[lane] for lane in ACTIVE]]


def scratch_of(bench: Any) -> list[list[int]]:
    return [[int(value) for value in row] for row in bench.wave.scratch]


def check_scratch(kit: Kit, mnemonic: str) -> None:
    """Dwords of the lane's own 64 bytes, at an offset and at a scalar base."""
    count = WIDTHS[mnemonic.rsplit("_", 1)[1]] // 4
    load = "_load_" in mnemonic
    for base, rest, first in (("off", "off offset:12", 3), ("off", "s4 offset:4", 5)):
        bench = kit.bench()
        bench.set_scalar(4, 16)
        bench.wave.set_exec(EXEC)
        random = np.random.default_rng(count)
        bench.wave.scratch[...] = random.integers(0, M32, bench.wave.scratch.shape)
        before = scratch_of(bench)
        for dword in range(count):
            bench.set(20 + dword, [OLD + dword] * WAVE)
        data = registers(20, count)
        operands = f"{data}, {base}" if load else f"{base}, {data}"
        bench.run(f"{mnemonic} {operands}, {rest}")
        bench.land()
        for dword in range(count):
            for lane in range(WAVE):
                on = lane in ACTIVE
                held = before[first + dword][lane]
                value = bench.ints(20 + dword)[lane]
                stored = int(bench.wave.scratch[first + dword][lane])
                assert value == (held if load and on else OLD + dword)
                assert stored == (held if load or not on else OLD + dword)


CHECKS: dict[str, Check] = {
    **{
        f"{space}_load_{width}": check_load
        for space in ("global", "buffer")
        for width in ("dword", "dwordx2", "dwordx4")
    },
    "buffer_store_dword": check_store,
    "buffer_store_dwordx4": check_store,
    "global_store_dword": check_store,
    **dict.fromkeys(("buffer_atomic_add_f32", "global_atomic_add_f32"), check_atomic),
    **dict.fromkeys(("buffer_atomic_pk_add_f16", "global_atomic_pk_add_bf16"), check_atomic),
    **{f"scratch_{verb}_{w}": check_scratch for verb in ("load", "store") for w in WIDTHS},
}
