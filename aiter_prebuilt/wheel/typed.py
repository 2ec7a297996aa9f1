"""JSON into values: a reader for each type, made once, that names the path of what does not fit.

A manifest of all families has thousands of values, and every server reads it at its first MoE call:
so paths are put together only where a value does not fit.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

Reader = Callable[[Any], Any]


class MisfitError(Exception):
    """A value that is not what its field holds; the message says where, what and what else."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._path: list[str] = []

    def under(self, part: str) -> MisfitError:
        """Return the same error, seen from one level further out."""
        self._path.append(part)
        return self

    def __str__(self) -> str:
        """The path from the outermost value, and the problem."""
        return "".join((*reversed(self._path), *self.args))


def read(kind: Any, raw: Any, where: str) -> Any:  # noqa: ANN401  a type, and a value of it
    """Return ``raw`` (of JSON) as a value of ``kind``, which ``where`` calls by a name.

    Raises :class:`MisfitError` where a key is missing or unknown, or a value of the wrong type.
    """
    try:
        return _reader(kind)(raw)
    except MisfitError as error:
        raise error.under(where) from None


_READERS: dict[Any, Reader] = {}


def _reader(kind: Any) -> Reader:  # noqa: ANN401  a type
    found = _READERS.get(kind)
    if found is None:
        found = _READERS[kind] = _make(kind)
    return found


def _make(kind: Any) -> Reader:  # noqa: ANN401  a type
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _tuple(_reader(arguments[0]))
    if origin in (typing.Union, types.UnionType):
        return _optional(_reader(next(each for each in arguments if each is not type(None))))
    if origin is Literal:
        return _literal(kind, arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_reader(arguments[1]))
    return (lambda raw: raw) if kind is Any else _float if kind is float else _plain(kind)


def _dataclass(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    fields = [(each.name, each.default) for each in dataclasses.fields(kind)]
    readers = {name: _reader(hints[name]) for name, _ in fields}
    needed = {name for name, default in fields if default is dataclasses.MISSING}

    def read(raw: Any) -> Any:  # noqa: ANN401
        if type(raw) is not dict:
            raise _misfit(raw, kind)
        if not (needed <= raw.keys() <= readers.keys()):
            unknown, missing = sorted(raw.keys() - readers.keys()), sorted(needed - raw.keys())
            raise MisfitError(f": unknown keys {unknown}, missing keys {missing}")
        values, name = {}, ""
        try:
            for name, value in raw.items():
                values[name] = readers[name](value)
        except MisfitError as error:
            raise error.under(f".{name}") from None
        return kind(**values)

    return read


def _tuple(item: Reader) -> Reader:
    def read(raw: Any) -> tuple[Any, ...]:  # noqa: ANN401
        if type(raw) is not list:
            raise _misfit(raw, list)
        found: list[Any] = []
        try:
            for value in raw:
                found.append(item(value))
        except MisfitError as error:
            raise error.under(f"[{len(found)}]") from None
        return tuple(found)

    return read


def _mapping(item: Reader) -> Reader:
    def read(raw: Any) -> Mapping[str, Any]:  # noqa: ANN401
        if type(raw) is not dict:
            raise _misfit(raw, dict)
        found, key = {}, ""
        try:
            for key, value in raw.items():
                found[key] = item(value)
        except MisfitError as error:
            raise error.under(f"[{key!r}]") from None
        return found

    return read


def _optional(inner: Reader) -> Reader:
    return lambda raw: None if raw is None else inner(raw)


def _literal(kind: Any, allowed: tuple[Any, ...]) -> Reader:  # noqa: ANN401
    of = frozenset(map(type, allowed))

    def read(raw: Any) -> Any:  # noqa: ANN401
        if type(raw) in of and raw in allowed:
            return raw
        raise _misfit(raw, kind)

    return read


def _plain(kind: type) -> Reader:
    def read(raw: Any) -> Any:  # noqa: ANN401
        if type(raw) is kind:
            return raw
        raise _misfit(raw, kind)

    return read


def _float(raw: Any) -> float:  # noqa: ANN401
    if type(raw) in (int, float):
        return float(raw)
    raise _misfit(raw, float)


def _misfit(raw: Any, kind: Any) -> MisfitError:  # noqa: ANN401
    name = getattr(kind, "__name__", None) or str(kind)
    return MisfitError(f" is {str(raw)[:60]!r}, expected {name}")
