"""The kernels of the installed modules, and which of them a user asks for."""

from __future__ import annotations

from collections.abc import Iterable

from aiter_prebuilt.selftest.problems import Case
from aiter_prebuilt.wheel.manifest import Module
from aiter_prebuilt.wheel.store import Entry


def cases_of(module: Module) -> tuple[Case, ...]:
    """Return every kernel that a module's manifest lists; a harvested one lists none."""
    return tuple(
        Case(module=module, instance=instance, kernel=kernel)
        for instance in module.instances
        for kernel in instance.kernels
    )


def chosen(entries: Iterable[Entry], module: str, kernel: str) -> tuple[Case, ...]:
    """Return the kernels whose module and own name hold these texts (empty: all)."""
    return tuple(
        case
        for entry in entries
        if module in entry.module.name
        for case in cases_of(entry.module)
        if kernel in case.name
    )
