from __future__ import annotations

import math
import operator
import struct

import pytest

from aiter_prebuilt.choice.dispatch import built_kernel, variant_of
from aiter_prebuilt.selftest import extremes, problems
from aiter_prebuilt.selftest.content import whole
from aiter_prebuilt.selftest.formats import FORMATS
from aiter_prebuilt.selftest.problems import NoProblemError, describe, make_problem, sizes
from aiter_prebuilt.selftest.reference import values_of
from tests.unit.aiter_prebuilt.samples import kernel
from tests.unit.aiter_prebuilt.selftest.kinds import KINDS, case, features, split_case


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    one, same, other = (make_problem(case(), seed) for seed in (1, 1, 2))
    assert one == same
    assert one.weights.data != other.weights.data
    assert one.sorted_ids == other.sorted_ids


@pytest.mark.parametrize("prefetch", [1, 2])
@pytest.mark.parametrize(
    ("main_loop", "tail"),
    [(False, "odd"), (False, "even"), (True, "odd"), (True, "even"), (True, "full")],
)
def test_k_reaches_the_kernel_and_no_other(main_loop: bool, tail: str, prefetch: int) -> None:
    every = tuple(
        kernel(main_loop=loop, tail=end) for loop in (True, False) for end in ("odd", "even")
    )
    own = kernel(main_loop=main_loop, tail=tail)
    kernels = (own,) if tail == "full" else every
    tails = "full" if tail == "full" else "parity"
    asked = case(prefetch_stages=prefetch, kernels=kernels, tails=tails)
    asked = problems.Case(module=asked.module, instance=asked.instance, kernel=own)
    if not main_loop and tail == "even" and prefetch == 1:
        with pytest.raises(NoProblemError, match="no K reaches even"):
            sizes(asked)
        return
    _, k = sizes(asked)
    assert built_kernel(asked.instance, variant_of(asked.instance, k)) == own


@pytest.mark.parametrize("block_m", [16, 32, 64, 128, 256])
def test_blocks_are_full_but_for_padding_among_the_rows(block_m: int) -> None:
    problem = make_problem(case(block_m=block_m), 1)
    ids = struct.unpack(f"<{len(problem.sorted_ids) // 4}i", whole(problem.sorted_ids))
    tokens = block_m - 3
    assert len(ids) == tokens * 2 + 3 * block_m - 2
    blocks = [ids[at * block_m : (at + 1) * block_m] for at in range(2)]
    seen = []
    for block, expert in zip(blocks, (0, 2), strict=True):
        rows = [(at, word) for at, word in enumerate(block) if word >> 24 < 2]
        assert rows[0] == (0, block[0])  # a kernel skips the block otherwise
        assert len(rows) == tokens
        assert rows[-1][0] == block_m - 2
        for _, word in rows:
            assert problem.routing[word & 0xFFFFFF][word >> 24] == expert
        seen += [word for _, word in rows]
    assert len(set(seen)) == 2 * tokens
    assert set(ids) - set(seen) == {2 << 24 | tokens}


@pytest.mark.parametrize("apart", [1, 4, 16, 64])
def test_rows_of_a_tile_differ_from_their_neighbours(apart: int) -> None:
    kind = features("b16", "b16", "no")
    rows = make_problem(case(kind, block_m=128), 1).activations.rows
    assert len(set(rows)) == 6
    assert {rows.count(rows[special]) for special in extremes.SPECIAL_ROWS} == {1}
    same = [at for at, row in enumerate(rows[apart:]) if row == rows[at]]
    assert same == ([63] if apart == 1 else [])


def test_what_must_not_be_read_is_nan() -> None:
    for a, b, quant in KINDS:
        problem = make_problem(case(features(a, b, quant), 2), 1)
        rows = len(problem.weights.rows) // 3
        idle = problem.weights.rows[rows]
        if b in ("f8", "b16", "f16"):
            assert all(map(math.isnan, FORMATS[b].decode(idle)))
        if quant == "per_1x32":
            assert whole(problem.weights.scales.data)[: 3 * rows].count(0xFF) == 0  # type: ignore[union-attr]
            assert whole(problem.weights.scales.data).count(0xFF) == rows * problem.k // 32  # type: ignore[union-attr]
            # Real rows of activations; those of padding have no scale, and one row has a NaN.
            data = whole(problem.activations.scales.data)  # type: ignore[union-attr]
            assert len(data) - data.count(0xFF) == 2 * 29 * problem.k // 32 - 1


@pytest.mark.parametrize(("a", "b", "quant"), KINDS)
def test_extreme_numbers_are_there(a: str, b: str, quant: str) -> None:
    problem = make_problem(case(features(a, b, quant)), 1)
    rows = [values_of(problem.activations, row) for row in range(problem.tokens)]
    single, broken = (rows[row] for row in extremes.SPECIAL_ROWS)
    assert sum(value != 0 for value in single) == 1
    assert [at for at, value in enumerate(broken) if not math.isfinite(value)][-1] >= 256 - 32
    each = len(problem.weights.rows) // 3
    assert not any(values_of(problem.weights, extremes.EMPTY))
    gates = [
        math.fsum(map(operator.mul, row, values_of(problem.weights, column)))
        for row in rows[:4]
        for column in range(0, each // 2, 5)
    ]
    assert min(gates) < -88.8
    assert max(gates) > 88.8
    if quant not in ("per_tensor", "no"):
        assert max(abs(value) for value in single) > 1e30
        assert max(map(abs, rows[3])) < 1e-9


def test_floats_of_16_bits_are_raised_as_far_as_they_go() -> None:
    for form, power, limit in (("b16", 9, 9), ("f16", 9, 6), ("f16", -40, -6)):
        plain = FORMATS[form].draw(bytes(range(256)), 1.0)
        raised = FORMATS[form].decode(extremes.raised(form, plain, power))
        assert raised == [value * 2.0**limit for value in FORMATS[form].decode(plain)]
    largest = {"b16": b"\x7f\x7f", "f16": b"\xff\x7b"}
    for form, row in largest.items():
        assert extremes.raised(form, row, 5) == row
    assert extremes.raised("f8", b"\x7e", 3) == b"\x7e"


def test_weights_are_plain_for_plain_mx_kernels_alone() -> None:
    plain = make_problem(case(features(preshuffle=False)), 1).weights
    assert plain.data == b"".join(plain.rows)
    marked = make_problem(case(features("b16", "b16", "no", preshuffle=False)), 1).weights
    assert marked.data != b"".join(marked.rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quant": "per_token"}, "no problem is known for fp4x2 x fp4x2 -> b16, per_token"),
        ({"splitk": True}, "split K"),
        ({"activation": "relu"}, "activation relu"),
        ({"c_dtype": "f32"}, "-> f32"),
        ({"a": "f4"}, "f4 x fp4x2"),
    ],
)
def test_a_call_of_an_unknown_kind_has_no_problem(changes: dict[str, str], words: str) -> None:
    with pytest.raises(NoProblemError, match=words):
        make_problem(case(features(**changes)), 1)  # type: ignore[arg-type]
    assert words in describe(case(features(**changes)))  # type: ignore[arg-type]


def test_a_split_k_has_two_parts_of_the_steps_that_its_kernel_takes() -> None:
    problem = make_problem(split_case(), 1)
    assert (problem.parts, problem.k) == (2, 2 * 2 * 256)
    assert problem.out_shape == (problem.tokens, 2, 2 * problem.n)  # gate and up
    assert (problem.out.width, problem.out.roundoff) == (4, 2.0**-24)
    assert math.isnan(problem.out.decode(problem.out.mark)[0])
    assert describe(split_case()).endswith(" k=1024 parts=2 block_m=32")
    second = case(features("f8", "f8", "per_1x128", splitk=True), 2)
    assert make_problem(second, 1).parts == 1
    one_step = case(features("f8", "f8", "per_1x128", splitk=True))
    with pytest.raises(NoProblemError, match="a single step"):
        make_problem(one_step, 1)


def test_a_problem_for_people() -> None:
    assert describe(case()) == "stage1 tokens=29 topk=2 experts=3 n=64 k=256 block_m=32"
