"""A module that fits this host, and the way from one to a loaded module with its guard."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType

from aiter_prebuilt import releases
from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.host import hip
from aiter_prebuilt.host.facts import HostFacts
from aiter_prebuilt.host.match import hip_runtime, judge_hip
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.binary import CheckedFile, check
from aiter_prebuilt.wheel.store import Entry


@value_class(frozen=True, kw_only=True)
class Offer:
    """A module that fits this host."""

    entry: Entry
    facts: HostFacts
    checked: CheckedFile | None
    """None: its bytes are not checked yet."""
    notes: tuple[Reason, ...]

    @property
    def aiter_known(self) -> bool:
        """Whether the module was checked with the sources of the AITER at hand."""
        return all(note.code != "aiter-unknown" for note in self.notes)


class RefusedError(Exception):
    """An offer could not be loaded after all."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


def load(offer: Offer, asked: Settings) -> ModuleType:
    """Map and start an offered module; raises RefusedError with the reason where it cannot be."""
    try:
        _settle_hip(offer, asked)
        checked = offer.checked or check(offer.entry.module, offer.entry.path, offer.facts.glibc)
        module = checked.load()
        checked.execute(module)
        _check_guard(offer, module)
    except BinaryError as error:
        raise RefusedError(Reason(code=error.code, message=str(error))) from error
    except RefusedError:
        raise
    except Exception as error:  # whatever a module's own start raises, AITER has to go on
        message = f"{offer.entry.path} cannot be loaded: {error}"
        raise RefusedError(Reason(code="load", message=message)) from error
    module.__file__ = str(offer.entry.path)
    return module


def _check_guard(offer: Offer, module: ModuleType) -> None:
    """A module that cannot hand calls on must not stand under AITER's name; AITER's own may."""
    if offer.entry.module.harvest is None and not hasattr(module, "_set_uncovered"):
        message = f"{offer.entry.path} cannot hand calls on: it has no _set_uncovered"
        raise RefusedError(Reason(code="load", message=message))


def _settle_hip(offer: Offer, asked: Settings) -> None:
    """Make sure that the one HIP runtime of this process is there before the module is.

    torch brings its own copy; loaded after the module, it would be a second one.
    """
    needed = hip_runtime(offer.entry.module.needed)
    if needed is None or not offer.facts.hip.torch_pending:
        return
    try:
        importlib.import_module("torch")
    except Exception as error:
        message = f"torch is installed but cannot be imported: {error!r}"
        raise RefusedError(Reason(code="torch-import", message=message)) from error
    found = hip.gather(needed, asked.library_path)
    for reason in judge_hip(offer.entry.module.needed, found):
        raise RefusedError(reason)


@value_class(frozen=True, kw_only=True)
class Served:
    """A loaded module and the offer that it comes from."""

    offer: Offer
    module: ModuleType


def first_that_loads(
    offers: Sequence[Offer],
    asked: Settings,
    *,
    guard: Callable[[Offer, Sequence[Offer]], Callable[..., object]],
    refuse: Callable[[Offer, Reason], None],
) -> Served | None:
    """Load the first offer that can be loaded, None where none can; ``refuse`` is told of others.

    A module of ours gets ``guard(offer, the offers after it)`` for the calls that it refuses.
    """
    for position, offer in enumerate(offers):
        try:
            module = load(offer, asked)
        except RefusedError as error:
            refuse(offer, error.reason)
            continue
        if offer.entry.module.harvest is None:
            module._set_uncovered(guard(offer, offers[position + 1 :]))
            _forget(offer, module)
        return Served(offer=offer, module=module)
    return None


def _forget(offer: Offer, module: ModuleType) -> None:
    """An AITER of a release before an instance came does not know its name."""
    found = offer.facts.aiter
    missing = releases.unknown_instances(found.fingerprint) if found is not None else ()
    names = [
        instance.name for instance in offer.entry.module.instances if instance.is_named(missing)
    ]
    if names:
        from aiter_prebuilt.serve.older import forget  # three releases of February to April 2026

        (contract,) = offer.entry.contracts.values()
        forget(module, names, contract.signatures)
