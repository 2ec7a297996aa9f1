from __future__ import annotations

from aiter_prebuilt.serve.guard import Guard
from aiter_prebuilt.serve.loader import PrebuiltLoader
from aiter_prebuilt.serve.offer import Offer
from aiter_prebuilt.settings import Settings
from tests.unit.aiter_prebuilt import samples


def test_the_loaders_guard_knows_the_offers_that_are_left() -> None:
    entry = samples.entry(samples.module(coverage="sound"))
    own = Offer(entry=entry, facts=samples.host(), checked=None, notes=())
    made = PrebuiltLoader(samples.STOCK, [own], Settings(), gone={}, path=None)
    guard = made._guard(own, (own,))
    assert isinstance(guard, Guard)
    assert guard._rest == (own,)
