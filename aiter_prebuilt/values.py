# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN202
# Type checkers do not see this code but the decorator that it stands for.
"""Frozen, keyword-only dataclasses whose classes are cheap to make.

``dataclasses.dataclass`` compiles six methods for each class: 0.5 ms a class, 15 ms for those that
serving a module needs.  Here all classes share the methods; ``fields``, ``replace`` and ``asdict``
work as ever, and type checkers see the real decorator.
"""

from __future__ import annotations

__all__ = ["value_class"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as value_class
else:
    import dataclasses

    def _init(self, **given):
        missing = []
        values = self.__dict__
        for name, field in self.__dataclass_fields__.items():
            if name in given:
                values[name] = given.pop(name)
            elif field.default is not dataclasses.MISSING:
                values[name] = field.default
            else:
                missing.append(name)
        if given or missing:
            kind = type(self).__name__
            raise TypeError(f"{kind}: unknown values {sorted(given)}, missing values {missing}")

    def _eq(self, other):
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def _hash(self):
        return hash((type(self), *self.__dict__.values()))

    def _repr(self):
        pairs = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({pairs})"

    def _frozen(self, name, *_):
        raise dataclasses.FrozenInstanceError(f"cannot change {name!r} of a {type(self).__name__}")

    _SHARED = {
        "__init__": _init,
        "__eq__": _eq,
        "__hash__": _hash,
        "__repr__": _repr,
        "__setattr__": _frozen,
        "__delattr__": _frozen,
    }

    def value_class(*, frozen, kw_only):
        """Decorate a class as ``dataclasses.dataclass(frozen=True, kw_only=True)`` does."""
        if not (frozen and kw_only):
            raise ValueError("values are frozen and take keywords only")

        def decorate(kind):
            for name, method in _SHARED.items():
                setattr(kind, name, method)
            return dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)(kind)

        return decorate
