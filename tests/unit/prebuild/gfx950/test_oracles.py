"""Every mnemonic of the kernels, and so all that the registry knows, against its oracle."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from prebuild.gfx950.disassembly import parse_line
from prebuild.gfx950.isa import known
from tests.unit.prebuild.gfx950.extras import EXTRAS
from tests.unit.prebuild.gfx950.oracles import ORACLES
from tests.unit.prebuild.gfx950.oracles.kit import Kit

FOLDER = Path(__file__).parent
MNEMONICS: dict[str, int] = tomllib.loads((FOLDER / "mnemonics.toml").read_text())["kernels"]
"""Mnemonic -> how many kernels have it; the file says how it was made."""


def name_of(mnemonic: str) -> str:
    return parse_line(mnemonic).name


@pytest.mark.parametrize("mnemonic", sorted({*MNEMONICS, *EXTRAS}))
def test_an_instruction_does_what_its_oracle_says(kit: Kit, mnemonic: str) -> None:
    check = ORACLES.get(name_of(mnemonic))
    assert check, f"{mnemonic} has no oracle: write one below {FOLDER / 'oracles'}"
    check(kit, mnemonic)
    assert mnemonic in kit.executed, f"the oracle of {mnemonic} never ran it"


def test_the_registry_holds_what_occurs_and_nothing_else() -> None:
    listed = {name_of(mnemonic) for mnemonic in (*MNEMONICS, *EXTRAS)}
    assert known() - listed == set(), "no kernel has these, and EXTRAS gives no reason"
    assert listed - known() == set(), "kernels have these, and they have no semantics"


def test_an_extra_is_what_no_kernel_has() -> None:
    occurring = {*MNEMONICS, *(name_of(mnemonic) for mnemonic in MNEMONICS)}
    assert sorted(occurring & EXTRAS.keys()) == []


def test_no_oracle_is_left_without_an_instruction() -> None:
    assert sorted(ORACLES.keys() - known()) == []
