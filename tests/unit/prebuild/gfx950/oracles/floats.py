"""Float32 instructions against exact fractions and decimals, denormals kept and flushed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from tests.unit.prebuild.gfx950.exact import (
    INFINITY,
    NAN,
    SIGN,
    finite,
    flushed,
    is_nan,
    rounded,
    same,
    value_of,
)
from tests.unit.prebuild.gfx950.oracles.kit import (
    FLOATS32,
    M32,
    WAVE,
    Check,
    Kit,
    batches,
    form_of,
    formed,
    signed,
)

Oracle = Callable[..., int]
KEEP, FLUSH = 3, 0
QUIET = 1 << 22
"""The bit of a NaN that does not signal."""


def negative(bits: int) -> bool:
    return bits >= SIGN


def infinite(*, negative: bool) -> int:
    return INFINITY | (SIGN if negative else 0)


def total(a: int, b: int) -> int:
    """a + b."""
    return fused(a, 0x3F800000, b)


def fused(a: int, b: int, c: int) -> int:
    """a * b + c, rounded once."""
    sign = negative(a) ^ negative(b)
    if not finite(a, b, c):
        if is_nan(a) or is_nan(b) or is_nan(c):
            return NAN
        endless = not finite(a, b)
        if endless and 0 in (a & ~SIGN, b & ~SIGN):
            return NAN
        if endless and not finite(c) and negative(c) != sign:
            return NAN
        return infinite(negative=sign if endless else negative(c))
    exact = Fraction(value_of(a)) * Fraction(value_of(b)) + Fraction(value_of(c))
    product_is_zero = 0 in (a & ~SIGN, b & ~SIGN)
    both = product_is_zero and c & ~SIGN == 0
    return rounded(exact, zero_sign=int(both and sign and negative(c)))


def product(a: int, b: int) -> int:
    """a * b: adding a zero of the product's sign changes nothing."""
    return fused(a, b, SIGN if negative(a) ^ negative(b) else 0)


def negated(bits: int) -> int:
    return bits ^ SIGN


def _ordered(bits: int) -> Fraction | float:
    """A key that orders numbers, -0 below +0 (no value lies between them)."""
    return Fraction(-1, 2**200) if bits == SIGN else value_of(bits)


def extreme(choose: Callable[..., int]) -> Oracle:
    """min or max: a signalling NaN wins, then a number, then a quiet NaN."""

    def pick(*sources: int) -> int:
        left, *others = sources
        for right in others:
            if any(is_nan(one) and not one & QUIET for one in (left, right)):
                left = NAN
            elif is_nan(left) or is_nan(right):
                left = right if is_nan(left) else left
            else:
                left = choose(left, right, key=_ordered)
        return left

    return pick


def median(a: int, b: int, c: int) -> int:
    """The largest of the two that are left beside the first that equals the largest (ISA)."""
    if any(is_nan(one) for one in (a, b, c)):
        return extreme(min)(a, b, c)
    largest = value_of(extreme(max)(a, b, c))
    left = [a, b, c]
    del left[[value_of(one) for one in left].index(largest)]
    return extreme(max)(*left)


def whole(rounding: Callable[[Fraction], int]) -> Oracle:
    """To an integer; a zero keeps the sign of the source."""

    def convert(a: int) -> int:
        if not finite(a):
            return a
        return rounded(Fraction(rounding(Fraction(value_of(a)))), zero_sign=a >> 31)

    return convert


EXACT: dict[str, tuple[int, Oracle]] = {
    "v_add_f32": (2, total),
    "v_sub_f32": (2, lambda a, b: total(a, negated(b))),
    "v_mul_f32": (2, product),
    "v_fma_f32": (3, fused),
    "v_max_f32": (2, extreme(max)),
    "v_min_f32": (2, extreme(min)),
    "v_med3_f32": (3, median),
    "v_rndne_f32": (1, whole(round)),
}
"""Name -> sources and the result for sources whose denormals MODE has dealt with."""


def run_floats(kit: Kit, line: str, sources: list[list[int]], mode: int) -> Any:
    bench = kit.bench()
    bench.wave.denorm32 = mode
    for register, values in enumerate(sources, 1):
        bench.set(register, values)
    bench.run(line)
    return bench


def by_mode(oracle: Oracle, mode: int) -> Oracle:
    if mode == KEEP:
        return oracle
    return lambda *sources: flushed(oracle(*[flushed(one) for one in sources]))


def compare(found: list[int], expected: list[int], what: str, sources: list[list[int]]) -> None:
    for lane, (got, want) in enumerate(zip(found, expected, strict=True)):
        values = [f"{source[lane]:#x}" for source in sources]
        assert same(got, want), f"{what} of {values} gives {got:#x}, expected {want:#x}"


def check_exact(kit: Kit, mnemonic: str) -> None:
    count, oracle = EXACT[mnemonic.removesuffix(f"_{form_of(mnemonic)}")]
    names = ", ".join(f"v{at + 1}" for at in range(count))
    for mode in (KEEP, FLUSH):
        for sources in batches(FLOATS32, count, 32, seed=mode):
            extra, seen = formed(mnemonic, sources)
            bench = run_floats(kit, f"{mnemonic} v0, {names}{extra}", sources, mode)
            expected = [by_mode(oracle, mode)(*row) for row in zip(*seen, strict=True)]
            compare(bench.ints(0), expected, mnemonic, seen)


def check_accumulate(kit: Kit, mnemonic: str) -> None:
    """fmac adds its destination; fmamk and fmaak have a literal among the sources."""
    literal = 0x40490FDB
    lines = {
        "v_fmac_f32": ("v3, v1, v2", fused),
        "v_fmamk_f32": (f"v3, v1, {literal:#x}, v2", lambda a, b, _: fused(a, literal, b)),
        "v_fmaak_f32": (f"v3, v1, v2, {literal:#x}", lambda a, b, _: fused(a, b, literal)),
    }
    operands, oracle = lines[mnemonic.removesuffix(f"_{form_of(mnemonic)}")]
    for mode in (KEEP, FLUSH):
        for sources in batches(FLOATS32, 3, 32, seed=7 + mode):
            extra, seen = formed(mnemonic, sources)
            bench = run_floats(kit, f"{mnemonic} {operands}{extra}", sources, mode)
            expected = [by_mode(oracle, mode)(*row) for row in zip(*seen, strict=True)]
            compare(bench.ints(3), expected, mnemonic, seen)


def check_ldexp(kit: Kit, mnemonic: str) -> None:
    for mode in (KEEP, FLUSH):
        for numbers, powers in batches(FLOATS32, 2, 32, seed=8 + mode):
            shifts = [signed(power) % 700 - 350 for power in powers[:32]] + powers[32:]
            sources = [numbers, [shift % M32 for shift in shifts]]
            bench = run_floats(kit, f"{mnemonic} v0, v1, v2", sources, mode)

            def oracle(bits: int, shift: int, mode: int = mode) -> int:
                bits = bits if mode == KEEP else flushed(bits)
                if not finite(bits):
                    return bits
                power = Fraction(2) ** max(min(signed(shift), 400), -400)
                result = rounded(Fraction(value_of(bits)) * power, zero_sign=bits >> 31)
                return result if mode == KEEP else flushed(result)

            expected = [oracle(*row) for row in zip(*sources, strict=True)]
            compare(bench.ints(0), expected, mnemonic, sources)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def power_of_two(value: Fraction) -> Fraction:
    return Fraction(Decimal(2) ** _decimal(max(min(value, Fraction(400)), Fraction(-400))))


SPECIAL: dict[str, dict[int, int]] = {
    "v_exp_f32": {INFINITY: INFINITY, SIGN | INFINITY: 0},
    "v_rcp_f32": {INFINITY: 0, SIGN | INFINITY: SIGN, 0: INFINITY, SIGN: SIGN | INFINITY},
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[Fraction], Fraction]] = {
    "v_exp_f32": power_of_two,
    "v_rcp_f32": lambda value: 1 / value,
}


def transcendental(name: str, bits: int) -> int:
    """Correctly rounded; denormals are flushed whatever MODE says."""
    bits = flushed(bits)
    if is_nan(bits):
        return NAN
    if bits in SPECIAL[name]:
        return SPECIAL[name][bits]
    with localcontext() as context:
        context.prec = 60
        exact = FUNCTIONS[name](Fraction(value_of(bits)))
    return flushed(rounded(exact, zero_sign=bits >> 31))


def check_transcendental(kit: Kit, mnemonic: str) -> None:
    name = mnemonic.removesuffix(f"_{form_of(mnemonic)}")
    moderate = tuple(rounded(Fraction(n, 7)) for n in range(-900, 900, 13))
    for mode in (KEEP, FLUSH):
        for sources in batches((*FLOATS32, *moderate), 1, 32, seed=mode):
            extra, seen = formed(mnemonic, sources)
            bench = run_floats(kit, f"{mnemonic} v0, v1{extra}", sources, mode)
            expected = [transcendental(name, bits) for bits in seen[0]]
            compare(bench.ints(0), expected, mnemonic, seen)


PACKED: dict[str, tuple[int, Oracle]] = {
    "v_pk_add_f32": (2, total),
    "v_pk_mul_f32": (2, product),
    "v_pk_fma_f32": (3, fused),
}


def check_packed(kit: Kit, mnemonic: str) -> None:
    """Halves of register pairs, picked by op_sel for the low result, by op_sel_hi for the high."""
    count, oracle = PACKED[mnemonic]
    for mode in (KEEP, FLUSH):
        for turn, sources in enumerate(batches(FLOATS32, 2 * count, 32, seed=mode)):
            picks = [
                [turn >> at & 1 for at in range(count)],
                [1 - (turn >> at & 1) for at in range(count)],
            ]
            signs = [
                [turn >> (at + 1) & 1 for at in range(count)],
                [turn >> (at + 2) & 1 for at in range(count)],
            ]
            names = ", ".join(f"v[{2 * at + 1}:{2 * at + 2}]" for at in range(count))
            words = (
                ("op_sel", picks[0]),
                ("op_sel_hi", picks[1]),
                ("neg_lo", signs[0]),
                ("neg_hi", signs[1]),
            )
            extra = " ".join(f"{word}:[{','.join(map(str, bits))}]" for word, bits in words)
            bench = run_floats(kit, f"{mnemonic} v[20:21], {names} {extra}", sources, mode)
            for half in (0, 1):
                seen = [
                    [
                        value ^ (SIGN if signs[half][at] else 0)
                        for value in sources[2 * at + picks[half][at]]
                    ]
                    for at in range(count)
                ]
                expected = [by_mode(oracle, mode)(*row) for row in zip(*seen, strict=True)]
                compare(bench.ints(20 + half), expected, mnemonic, seen)


def check_division(kit: Kit, mnemonic: str) -> None:
    """One value each here; test_division has the rules and LLVM's whole sequence."""
    bench = kit.bench()
    for register, bits in ((1, 0x3F800000), (2, 0xC0400000), (3, 0x40A00000)):
        bench.set(register, bits)
    bench.set_scalar(106, 0b1, 0)
    fma = fused(0x3F800000, 0xC0400000, 0x40A00000)
    lines = {
        "v_div_scale_f32": ("v0, vcc, v1, v2, v1", 0x3F800000, 0x3F800000),
        "v_div_fmas_f32": ("v0, v1, v2, v3", rounded(Fraction(2) * 2**64), fma),
        "v_div_fixup_f32": ("v0, v1, v2, v3", 0xBF800000, 0xBF800000),
    }
    operands, first, other = lines[mnemonic]
    bench.run(f"{mnemonic} {operands}")
    assert bench.ints(0) == [first] + [other] * (WAVE - 1)


CHECKS: dict[str, Check] = {
    **dict.fromkeys(EXACT, check_exact),
    **dict.fromkeys(("v_fmac_f32", "v_fmamk_f32", "v_fmaak_f32"), check_accumulate),
    **dict.fromkeys(FUNCTIONS, check_transcendental),
    **dict.fromkeys(PACKED, check_packed),
    **dict.fromkeys(("v_div_scale_f32", "v_div_fmas_f32", "v_div_fixup_f32"), check_division),
    "v_ldexp_f32": check_ldexp,
}
