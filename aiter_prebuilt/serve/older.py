"""Instances of our modules that the installed AITER has not.

For a call that names one AITER's own module warns and lets its heuristic choose; so does ours for a
name that it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from aiter_prebuilt.host.aiter import parse_signature

_KERNEL = "kernelName"


def forget(module: ModuleType, names: Iterable[str], signatures: Mapping[str, str]) -> None:
    """Let a loaded module's functions take these instances for unknown.

    ``signatures`` are those of the functions, as their docstrings have them.
    """
    gone = frozenset(names)
    for function, signature in signatures.items():
        parameters = [parameter.name for parameter in parse_signature(signature)]
        if gone and _KERNEL in parameters:
            known = _without(getattr(module, function), parameters.index(_KERNEL), gone)
            setattr(module, function, known)


def _without(
    function: Callable[..., Any], position: int, gone: frozenset[str]
) -> Callable[..., Any]:
    def call(*args: Any, **given: Any) -> Any:  # noqa: ANN401  a function of the module
        if len(args) > position and args[position] in gone:
            args = (*args[:position], _marked(args[position]), *args[position + 1 :])
        elif given.get(_KERNEL) in gone:
            given[_KERNEL] = _marked(given[_KERNEL])
        return function(*args, **given)

    call.__doc__ = function.__doc__  # AITER reads the signature in its first line
    call.__name__ = function.__name__
    return call


def _marked(name: str) -> str:
    """A name that no module has."""
    return f"{name} (not in this AITER)"
