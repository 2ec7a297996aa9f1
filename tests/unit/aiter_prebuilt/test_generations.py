from __future__ import annotations

import dataclasses

import pytest

from aiter_prebuilt import generations
from aiter_prebuilt.generations import Parts, identify, load
from tests.unit.aiter_prebuilt import samples


def test_every_release_has_a_generation_that_is_known() -> None:
    book = load()
    assert {release.generation for release in book.releases} == set(book.generations)
    assert [release.date for release in book.releases] == sorted(
        release.date for release in book.releases
    )


def test_a_generation_has_the_name_of_its_first_release() -> None:
    book = load()
    tags = {release.tag: release.generation for release in book.releases}
    assert {name: tags[name] for name in book.generations} == {name: name for name in tags.values()}


def test_equal_parts_mean_equal_rules() -> None:
    """Else a release could not be told from another that behaves otherwise."""
    seen: dict[tuple[str | None, ...], str] = {}
    for release in load().releases:
        parts = release.parts
        key = (parts.choice, parts.names, parts.tables)
        assert seen.setdefault(key, release.generation) == release.generation


@pytest.mark.parametrize("release", load().releases, ids=lambda release: release.tag)
def test_each_release_is_recognised(release: generations.Release) -> None:
    known = identify(release.parts, load())
    assert known.release is not None
    assert (known.generation.name, known.changed) == (release.generation, ())


def test_other_sources_of_kernels_do_not_hide_whose_rules_hold() -> None:
    release = load().releases[0]
    found = identify(dataclasses.replace(release.parts, sources="other"), load())
    assert found.generation.name == release.generation


@pytest.mark.parametrize("part", ["choice", "names", "tables"])
def test_an_aiter_that_nobody_read_is_taken_for_the_newest_and_said_so(part: str) -> None:
    book = load()
    parts: Parts = dataclasses.replace(book.releases[0].parts, **{part: "0" * 16})
    known = identify(parts, book)
    names = "plain" if part == "names" else "joined"  # the part says it by itself
    newest = dataclasses.replace(book.newest, names=names)  # type: ignore[arg-type]
    assert (known.generation, known.release, known.changed) == (newest, None, (part,))


def test_parts_of_several_releases_are_none_of_them() -> None:
    book = load()
    first, last = book.releases[0].parts, book.releases[-1].parts
    known = identify(dataclasses.replace(last, choice=first.choice), book)
    assert known.release is None
    assert known.changed == ("choice", "names", "tables")


def test_names_of_modules() -> None:
    joined, plain = load().generations["v0.1.12"], load().newest
    split = dataclasses.replace(samples.FEATURES, splitk=True)
    assert plain.stock_name(samples.FEATURES) == samples.STOCK
    assert joined.stock_name(samples.FEATURES) == f"{samples.STOCK}_"
    assert joined.stock_name(split) == plain.stock_name(split) == f"{samples.STOCK}_splitk"


def test_a_generation_holds_what_it_changes_of_the_one_before() -> None:
    first = dataclasses.asdict(load().generations["v0.1.10.post2"])
    name = first.pop("name")
    raw = {
        "generations": {name: first, "next": {"tiers": [7], "names": "plain"}},
        "releases": [dataclasses.asdict(load().releases[0])],
    }
    book = generations.parse(raw)
    assert book.generations[name] == load().generations[name]
    assert book.newest == dataclasses.replace(
        load().generations[name], name="next", tiers=(7,), names="plain"
    )
    assert book.sources == {load().releases[0].parts.sources: load().releases[0].tag}
