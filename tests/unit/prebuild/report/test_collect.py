from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from prebuild.compile.costs import Cost, CostBook
from prebuild.inspect.codeobject import CodeObjectError, KernelFacts
from prebuild.report import collect as collecting
from prebuild.report import record
from prebuild.toolchain import Toolchain
from tests.unit.prebuild.inspect.test_known import FACTS
from tests.unit.prebuild.report import samples
from tests.unit.prebuild.report.samples import write_build

TOOLCHAIN = cast("Toolchain", object())


def test_registers_come_from_the_kernels_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = write_build(tmp_path)
    there = tmp_path / "long.co"
    there.write_bytes(b"ELF")
    found = samples.record()
    units = (replace(found.units[0], object=str(there)), *found.units[1:])
    record.write(replace(found, units=units), work)
    monkeypatch.setattr(collecting, "known_facts", lambda _path, _toolchain: FACTS)
    rows = {row.unit: row for row in collecting.collect(work, TOOLCHAIN).rows}
    registers = rows[samples.LONG].registers
    assert registers is not None
    assert (registers.vgprs, registers.lds_bytes) == (FACTS.vgprs, FACTS.lds_bytes)
    assert rows[samples.SHORT].registers is None
    assert rows["launch"].registers is None


def test_seconds_of_earlier_compiles_come_from_the_caches_book(tmp_path: Path) -> None:
    work, book = write_build(tmp_path / "w"), tmp_path / "costs.json"
    CostBook(book).record({samples.LONG: Cost(seconds=12.5, peak_bytes=1)})
    rows = {row.unit: row for row in collecting.collect(work, None, book).rows}
    assert rows[samples.LONG].known_seconds == 12.5
    assert rows[samples.SHORT].known_seconds is None


@pytest.mark.parametrize("text", [None, "", "[]", '{"a": 1}', '{"a": {}}'])
def test_a_book_that_cannot_be_read_is_an_empty_one(tmp_path: Path, text: str | None) -> None:
    work, book = write_build(tmp_path / "w"), tmp_path / "costs.json"
    if text is not None:
        book.write_text(text)
    assert {row.known_seconds for row in collecting.collect(work, None, book).rows} == {None}


def test_an_object_that_cannot_be_read_has_no_registers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, _toolchain: Toolchain) -> KernelFacts:
        raise CodeObjectError("damaged")

    work = write_build(tmp_path)
    there = tmp_path / "long.co"
    there.write_bytes(b"ELF")
    found = samples.record()
    record.write(replace(found, units=(replace(found.units[0], object=str(there)),)), work)
    monkeypatch.setattr(collecting, "known_facts", refuse)
    (row,) = collecting.collect(work, TOOLCHAIN).rows
    assert row.registers is None
