from __future__ import annotations

from typing import Any

import pytest

from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import guard
from aiter_prebuilt.serve.loader import PrebuiltLoader
from aiter_prebuilt.serve.offer import Offer
from aiter_prebuilt.settings import Settings
from tests.unit.aiter_prebuilt import samples


@pytest.mark.parametrize("code", ["aiter-unknown", "other"])
def test_the_loaders_guard_is_made_once_when_it_is_needed(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []

    class Guard:
        def __init__(self, stock_name: str, *given: object, **options: object) -> None:
            made.append({"name": stock_name, "given": given, **options})

        def __call__(self, *refused: object) -> object:
            return refused

    monkeypatch.setattr(guard, "Guard", Guard)
    entry = samples.entry(samples.module(coverage="sound"))
    notes = (Reason(code=code, message="a note"),)
    own = Offer(entry=entry, facts=samples.host(), checked=None, notes=notes)
    asked = Settings()
    handler = PrebuiltLoader(samples.STOCK, [own], asked, gone={}, path=None)._guard(own, (own,))
    assert made == []
    assert [handler("f", "tile"), handler("g")] == [("f", "tile"), ("g",)]
    known = code != "aiter-unknown"
    given = (entry, (own,), asked)
    assert made == [{"name": samples.STOCK, "given": given, "aiter_known": known}]
