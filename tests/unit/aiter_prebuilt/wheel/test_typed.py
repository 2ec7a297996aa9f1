from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.typed import MisfitError, read


@value_class(frozen=True, kw_only=True)
class Inner:
    size: int
    ratio: float = 0.5
    kind: Literal["a", "b", 3] = "a"


@value_class(frozen=True, kw_only=True)
class Outer:
    many: tuple[Inner, ...]
    named: Mapping[str, Inner]
    one: Inner | None = None
    free: Any = None


GOOD = {"many": [{"size": 1}, {"size": 2, "ratio": 3, "kind": 3}], "named": {"x": {"size": 4}}}


def test_a_value_is_read_with_its_defaults() -> None:
    found = read(Outer, {**GOOD, "free": [1, {}]}, "it")
    assert found == Outer(
        many=(Inner(size=1), Inner(size=2, ratio=3.0, kind=3)),
        named={"x": Inner(size=4)},
        free=[1, {}],
    )
    assert type(found.many[1].ratio) is float
    assert read(Outer, {**GOOD, "one": None}, "it").one is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"many": [{"size": 1}, {"size": "2"}]}, "it.many[1].size is '2', expected int"),
        ({"many": [{"size": True}]}, "it.many[0].size is 'True', expected int"),
        ({"many": {}}, "it.many is '{}', expected list"),
        ({"named": []}, "it.named is '[]', expected dict"),
        ({"named": {"x": {"size": 1}, "y": 2}}, "it.named['y'] is '2', expected Inner"),
        ({"one": {"size": 1, "ratio": "1"}}, "it.one.ratio is '1', expected float"),
        ({"one": {"size": 1, "kind": []}}, "it.one.kind is '[]', expected Literal"),
        ({"one": {"size": 1, "kind": 3.0}}, "it.one.kind is '3.0', expected Literal"),
        ({"one": {}}, "it.one: unknown keys [], missing keys ['size']"),
        ({"two": 1, "more": 2}, "it: unknown keys ['more', 'two'], missing keys []"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(change: dict[str, Any], text: str) -> None:
    with pytest.raises(MisfitError) as caught:
        read(Outer, {**GOOD, **change}, "it")
    assert str(caught.value).startswith(text)


def test_something_else_than_an_object() -> None:
    with pytest.raises(MisfitError, match="it is 'None', expected Outer"):
        read(Outer, None, "it")
