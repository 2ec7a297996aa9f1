from __future__ import annotations

import importlib
import sys
import tomllib
import types
from pathlib import Path

import pytest

from aiter_prebuilt.serve import provider
from tests.unit.aiter_prebuilt import samples

ROOT = Path(__file__).parents[4]


def test_the_package_is_registered_under_the_group() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (value,) = project["entry-points"][provider.GROUP].values()
    module, _, name = value.partition(":")
    assert getattr(importlib.import_module(module), name) is provider.provide


def test_a_module_that_is_loaded_is_returned_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known = types.ModuleType(samples.STOCK)
    monkeypatch.setitem(sys.modules, f"aiter.jit.{samples.STOCK}", known)
    assert provider.provide(samples.STOCK) is known


def test_nothing_to_provide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider.finder, "find", lambda _: None)
    assert provider.provide("module_moe_ck2stages_other") is None
