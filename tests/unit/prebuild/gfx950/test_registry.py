"""The table of instructions: one builder each, and where what is missing belongs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import prebuild
from prebuild.gfx950.disassembly import parse_line
from prebuild.gfx950.isa import known, registry
from prebuild.gfx950.isa.places import place_of
from prebuild.gfx950.isa.registry import build, instruction


def test_two_builders_for_one_instruction_are_an_error() -> None:
    with pytest.raises(ValueError, match=re.escape("prebuild/gfx950/isa/control.py")):
        instruction("s_nop")(lambda _: lambda _: None)


def test_what_is_known_lies_where_the_error_would_send_it() -> None:
    placed = {name: place_of(name) for name in known()}
    assert placed == {name: registry._TABLE[name].file for name in known()}
    folder = Path(prebuild.__file__).parent.parent
    assert all((folder / file).is_file() for file in placed.values())


def test_waits_are_checked_for_what_is_read_without_being_named() -> None:
    assert {106, 107} <= build(parse_line("v_div_fmas_f32 v0, v1, v2, v3")).touch_lgkm
    assert 124 in build(parse_line("buffer_load_dword v1, s[8:11], 0 offen lds")).touch_lgkm


def test_a_load_may_overwrite_what_the_load_before_it_wrote() -> None:
    load = build(parse_line("global_load_dword v4, v[1:2], off"))
    assert 128 + 4 not in load.touch_vm
    assert 128 + 4 in load.touch_lgkm
    own = build(parse_line("global_load_dword v2, v[1:2], off"))
    assert 128 + 2 in own.touch_vm
