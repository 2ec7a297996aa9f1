from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import aiter_prebuilt
from aiter_prebuilt import _hook

SITE = Path(__file__).parents[3] / "packaging" / "site"


@pytest.fixture
def meta_path(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    entries: list[object] = [object()]
    monkeypatch.setattr(sys, "meta_path", entries)
    return entries


def test_install_appends_once(meta_path: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AITER_PREBUILT", raising=False)
    _hook.install()
    _hook.install()
    assert [type(entry) for entry in meta_path] == [object, _hook.Hook]


def test_the_place_is_told(meta_path: list[object]) -> None:
    assert _hook.place() == "absent"
    aiter_prebuilt.install()
    assert _hook.place() == "end"
    meta_path.reverse()
    assert _hook.place() == "front"


def test_prefer_goes_in_front(meta_path: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AITER_PREBUILT", "prefer")
    _hook.install()
    assert isinstance(meta_path[0], _hook.Hook)


@pytest.mark.parametrize("name", ["os", "torch", "aiter", "aiter.jit", "aiter.jit.core", "modules"])
def test_other_names_are_left_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiter_prebuilt.serve.finder", None)
    assert _hook.Hook().find_spec(name) is None


def test_a_half_removed_package_answers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiter_prebuilt.serve.finder", None)  # its import now fails
    assert _hook.Hook().find_spec("aiter.jit.module_moe_ck2stages_x") is None


def test_the_pth_file_is_one_line_that_never_raises(
    meta_path: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (SITE / "aiter_prebuilt.pth").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("import ")  # what site.py looks for
    exec(lines[0], {})  # noqa: S102  as site.py does
    assert isinstance(meta_path[-1], _hook.Hook)
    monkeypatch.setitem(sys.modules, "aiter_prebuilt._hook", None)
    exec(lines[0], {})  # noqa: S102


def test_the_start_file_names_a_callable() -> None:
    (line,) = (SITE / "aiter_prebuilt.start").read_text().splitlines()
    module, _, name = line.partition(":")
    assert module == _hook.__name__
    assert getattr(_hook, name) is _hook.install


def test_units_start_no_process() -> None:
    with pytest.raises(pytest.fail.Exception):
        subprocess.Popen(["true"])
