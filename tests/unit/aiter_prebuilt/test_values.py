from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from aiter_prebuilt.values import value_class
from tests.unit.aiter_prebuilt import samples


@value_class(frozen=True, kw_only=True)
class Point:
    """A value."""

    x: int
    y: int = 2
    z: tuple[int, ...] = ()


def test_it_is_a_dataclass_to_the_tools_of_dataclasses() -> None:
    point = Point(x=1)
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "z": ()}
    assert dataclasses.replace(point, y=5) == Point(x=1, y=5)
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "y", "z"]


def test_equality_hash_and_text() -> None:
    assert Point(x=1) == Point(y=2, x=1)
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != (1, 2, ())
    assert len({Point(x=1), Point(x=1, y=2)}) == 1
    assert repr(Point(x=1)) == "Point(x=1, y=2, z=())"


def test_it_cannot_be_changed() -> None:
    point = Point(x=1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="'x'"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x


def test_wrong_values_are_named() -> None:
    with pytest.raises(TypeError, match=r"unknown values \['w'\], missing values \['x'\]"):
        Point(w=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[misc]


def test_copies_and_pickles_are_equal() -> None:
    whole = samples.manifest()
    assert copy.deepcopy(whole) == whole
    assert pickle.loads(pickle.dumps(whole)) == whole  # noqa: S301  our own bytes
