"""What the comparison finds."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from prebuild.gfx950.memory import Allocation, Memory
from prebuild.verify.bounds import LARGEST_F32, OVERFLOW
from prebuild.verify.judge import judge_sums, judge_values
from prebuild.verify.reference import Expected

VALUES = np.arange(24.0).reshape(3, 2, 4) - 10


def expected() -> Expected:
    return expecting(VALUES, 0.05)


def expecting(value: np.ndarray, bound: float) -> Expected:
    return Expected(
        value=value, bound=np.full(value.shape, bound), roundoff=2.0**-8, overflow=OVERFLOW["bf16"]
    )


def output(values: np.ndarray) -> Allocation:
    data = values.astype(ml_dtypes.bfloat16).reshape(-1).view(np.uint8)
    return Memory().allocate("out", data, writable=True)


def sums(addends: np.ndarray) -> Allocation:
    out = output(addends.sum(axis=1))
    for slot in range(addends.shape[1]):
        words = addends[:, slot].astype(ml_dtypes.bfloat16).reshape(-1).view(np.uint32)
        out.atomics.addresses.append(np.arange(words.size) * 4)
        out.atomics.values.append(words)
    return out


def test_right_values() -> None:
    judgement = judge_values(output(VALUES), expected(), "bf16")
    assert judgement.first is None
    assert judgement.ratio == 0
    assert judgement.elements == 24


def float_sums(addends: np.ndarray) -> Allocation:
    data = addends.sum(axis=1).astype(np.float32).reshape(-1).view(np.uint8)
    out = Memory().allocate("out", data, writable=True)
    for part in range(addends.shape[1]):
        words = addends[:, part].astype(np.float32).reshape(-1).view(np.uint32)
        out.atomics.addresses.append(np.arange(words.size) * 4)
        out.atomics.values.append(words)
    return out


FINE = Expected(
    value=VALUES, bound=np.full(VALUES.shape, 1e-3), roundoff=2.0**-24, overflow=LARGEST_F32
)


def test_sums_in_float32_are_judged_a_part_at_a_time() -> None:
    right = judge_sums(float_sums(VALUES[:, ::-1]), FINE, "f32")
    assert (right.first, right.elements) == (None, 12)
    parts = VALUES.copy()
    parts[2, 0, 3] += 1
    parts[2, 1, 3] -= 1  # which cancels in the sum
    first = judge_sums(float_sums(parts), FINE, "f32").first
    assert first is not None
    assert (first.where, first.index) == ("addend (2 of 2 added)", (2, 3))


def test_an_element_in_float32_has_a_writer_and_four_marks() -> None:
    out = float_sums(VALUES)
    out.data.view(np.float32)[5] += 1  # another sum than its addends
    out.writer[:] = np.arange(12)
    first = judge_sums(out, FINE, "f32").first
    assert first is not None
    assert (first.where, first.index, first.writer) == ("value", (1, 1), 5)
    out = float_sums(VALUES)
    out.shadow[4 * 7 + 1] = 0xFF
    judgement = judge_sums(out, FINE, "f32")
    assert judgement.undefined == 1
    assert judgement.first is not None
    assert judgement.first.index == (1, 3)


def test_one_wrong_value_is_named() -> None:
    wrong = VALUES.copy()
    wrong[1, 0, 2] += 0.5
    out = output(wrong)
    out.writer[:] = np.arange(12)
    first = judge_values(out, expected(), "bf16").first
    assert first is not None
    assert first.index == (1, 0, 2)
    assert (first.found, first.expected) == (0.5, 0.0)
    assert first.writer == 5


def test_a_right_value_that_is_undefined_is_wrong() -> None:
    out = output(VALUES)
    out.shadow[2:4] = 0xFF
    judgement = judge_values(out, expected(), "bf16")
    assert judgement.undefined == 1
    assert judgement.first is not None
    assert judgement.first.undefined


def test_nan_is_right_only_where_it_is_expected() -> None:
    wanted = VALUES.copy()
    wanted[0, 0, 0] = np.nan
    allowed = expecting(wanted, 0.05)
    assert judge_values(output(wanted), allowed, "bf16").first is None
    assert judge_values(output(VALUES), allowed, "bf16").wrong == 1
    assert judge_values(output(wanted), expected(), "bf16").wrong == 1


def test_right_sums_in_another_order_of_slots() -> None:
    assert judge_sums(sums(VALUES[:, ::-1]), expected(), "bf16").first is None


@pytest.mark.parametrize("fault", ["two wrong addends", "an addend twice", "a slot left out"])
def test_addends_are_judged_one_by_one(fault: str) -> None:
    addends = VALUES.copy()
    out = sums(addends)
    if fault == "two wrong addends":  # that cancel in the sum
        addends[0, 0, 1] += 1
        addends[0, 1, 1] -= 1
        out = sums(addends)
    elif fault == "an addend twice":
        out.atomics.addresses.append(np.array([0]))
        out.atomics.values.append(np.zeros(1, np.uint32))
    else:
        out.atomics.addresses[1] = out.atomics.addresses[1][1:]
        out.atomics.values[1] = out.atomics.values[1][1:]
    first = judge_sums(out, expected(), "bf16").first
    assert first is not None
    assert first.where.startswith("addend")


@pytest.mark.parametrize("exact", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("found", [np.inf, -np.inf, np.nan, 3e38])
def test_what_is_not_finite_has_to_be_exactly_that(exact: float, found: float) -> None:
    value, wrong = VALUES.copy(), VALUES.copy()
    value[0, 1, 2], wrong[0, 1, 2] = exact, found
    same = found == exact or (np.isnan(found) and np.isnan(exact))
    judgement = judge_values(output(wrong), expecting(value, 0.05), "bf16")
    assert (judgement.first is None) == same
    assert (judgement.ratio == 0) == same
    # With another slot's addend beside it, NaN and infinity go to the sum, which is right as well.
    assert (judge_sums(sums(wrong), expecting(value, 0.05), "bf16").first is None) == same


def test_where_the_order_decides_everything_is_right() -> None:
    wrong = VALUES.copy()
    wrong[0, 0, 0], wrong[1, 0, 0], wrong[2, 0, 0] = np.nan, np.inf, -1e38
    judgement = judge_values(output(wrong), expecting(VALUES, np.inf), "bf16")
    assert judgement.first is None
    assert judgement.ratio == 0
