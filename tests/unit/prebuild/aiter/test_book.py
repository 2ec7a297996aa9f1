from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from aiter_prebuilt.generations import Book, Release, load, parse
from prebuild.aiter import book
from prebuild.aiter.repository import Tagged
from prebuild.aiter.tree import AiterError, Tree, read
from prebuild.core.project import Project
from tests.unit.prebuild.aiter.samples import checkout


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return read(checkout(tmp_path))


def tagged(tree: Tree, tag: str = "v0.1.99", date: str = "2027-01-01") -> Tagged:
    return Tagged(tag=tag, commit="0" * 40, date=date, ck="12345678", tree=tree)


def with_parts(tree: Tree, release: Release) -> Tree:
    return dataclasses.replace(tree, parts=release.parts)


def test_the_data_file_is_what_its_writer_writes() -> None:
    path = Project.here().root / "aiter_prebuilt" / "data" / "aiter.json"
    assert book.as_text(load()) == path.read_text()


def test_written_and_read_again() -> None:
    assert parse(json.loads(book.as_text(load()))) == load()


def test_a_release_whose_parts_are_known_takes_one_line(tree: Tree) -> None:
    last = load().releases[-1]
    new = book.release_of(tagged(with_parts(tree, last)), load(), None)
    assert (new.generation, new.flydsl, new.ck) == (last.generation, "0.9.1", "12345678")
    more = book.with_releases(load(), [new])
    assert more.releases[:-1] == load().releases
    before, after = book.as_text(load()).splitlines(), book.as_text(more).splitlines()
    assert len(after) == len(before) + 1
    assert book.with_releases(more, [new]) == more


def test_one_that_is_new_has_to_be_read_first(tree: Tree) -> None:
    with pytest.raises(AiterError, match="no release has its choice, names, tables; read what"):
        book.release_of(tagged(tree), load(), None)
    named = book.release_of(tagged(tree), load(), "v0.1.18")
    assert named.generation == "v0.1.18"
    with pytest.raises(AiterError, match=r"'v9'; known are v0\.1\.10"):
        book.release_of(tagged(tree), load(), "v9")


def test_what_an_aiter_would_be_served(tree: Tree) -> None:
    verdict = book.judge(tree, load())
    assert (verdict.known.release, verdict.sources_known, verdict.problems) == (None, False, ())
    assert not verdict.served
    old = load().releases[0]
    verdict = book.judge(with_parts(tree, old), load())
    assert verdict.served
    modules = dict(verdict.modules)
    assert (
        modules["module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2_"]
        == ""
    )
    swiglu = [why for name, why in modules.items() if "_swiglu_" in name]
    assert set(swiglu) == {"such an AITER has no kernels for swiglu"}


def test_an_aiter_whose_contract_is_another(tmp_path: Path) -> None:
    checkout(tmp_path)
    header = tmp_path / "csrc/include/aiter_enum.h"
    header.write_text(header.read_text().replace("per_1x32 = 3", "per_1x32 = 9"))
    verdict = book.judge(read(tmp_path), load())
    assert verdict.problems == ("QuantType.per_1x32 is 9, the module has 3",)


def test_a_release_that_was_read_before_is_known(tree: Tree) -> None:
    last = load().releases[-1]
    same = tagged(with_parts(tree, last), tag=last.tag)
    assert book.is_known(same, load())
    assert not book.is_known(tagged(tree, tag=last.tag), load())
    assert not book.is_known(tagged(with_parts(tree, last)), load())


def test_no_book_is_needed_to_judge(tree: Tree) -> None:
    empty = Book(generations=load().generations, releases=())
    assert book.judge(tree, empty).known.generation == load().newest
