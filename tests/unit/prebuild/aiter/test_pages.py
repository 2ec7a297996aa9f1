from __future__ import annotations

import dataclasses

import pytest

from aiter_prebuilt.generations import load
from prebuild.aiter import pages, reach
from prebuild.aiter.reach import Reach
from prebuild.core.project import Project

ROOT = Project.here().root
NEWEST = "v0.1.20.post1"
RELEASES = tuple(release.tag for release in load().releases)


def of(release: str, *, flydsl: bool = True, **by_size: dict[str, int]) -> Reach:
    sizes = {int(name.removeprefix("tp")): found for name, found in by_size.items()}
    return Reach(recipe="one", layer="", release=release, flydsl=flydsl, counts=sizes)


@pytest.mark.parametrize("page", pages.PAGES)
def test_a_page_has_the_table_of_the_data_files(page: str) -> None:
    written = dict(pages.written(ROOT, load(), reach.load()))
    assert written[ROOT / page] == (ROOT / page).read_text()


def test_releases_that_are_alike_share_a_row() -> None:
    lines = list(pages.releases(load(), ()))
    for tag in RELEASES:
        assert sum(f"{tag}," in line or f"{tag} (" in line for line in lines) == 1


def test_the_overview_has_a_row_a_recipe() -> None:
    rows = list(pages.overview(load(), reach.load()))
    assert rows[0].startswith("| recipe | TP | v0.1.12.post2 |")
    assert rows[0].endswith(f"| {NEWEST} | the rest |")
    names = [row.split("`")[1] for row in rows[2:]]
    assert names == list(dict.fromkeys(each.recipe for each in reach.load()))


def test_a_cell_of_the_overview_is_a_span_with_flydsl_and_without() -> None:
    some = [
        of(NEWEST, tp1={"flydsl": 36}, tp8={"ck2stages": 3, "flydsl": 33}),
        of(NEWEST, flydsl=False, tp1={"ck2stages": 34, "cktile": 2}, tp8={"ck2stages": 34}),
    ]
    row = list(pages.overview(load(), some))[-1]
    assert row == "| `one` | 1, 8 | 0-3 / 34 | FlyDSL, CK-Tile |"
    alike = [of(NEWEST, flydsl=flydsl, tp1={"ck2stages": 36}) for flydsl in (True, False)]
    assert list(pages.overview(load(), alike))[-1] == "| `one` | 1 | 36 |  |"


def test_the_long_table_joins_what_counts_alike() -> None:
    first, last = RELEASES[0], RELEASES[-1]
    some = [of(tag, tp1={"ck2stages": 36}) for tag in RELEASES]
    some.append(of(first, flydsl=False, tp1={"ck2stages": 30, "split-k": 6}))
    some.append(of(last, flydsl=False, tp1={"ck2stages": 30, "split-k": 6}))
    assert list(pages.models(load(), some)) == [
        "| recipe | AITER with FlyDSL | AITER without | TP 1 |",
        "|---|---|---|---|",
        "| `one` | all |  | **36** |",
        f"| `one` |  | {first}, {last} | **30**; 6 CK2stages split-K |",
    ]


def test_ranges_follow_versions_not_dates() -> None:
    """v0.1.15.post3 came after v0.1.16; a commit stands behind the release before it."""
    tags = ("v0.1.15", "9bab8388", "v0.1.15.post1", "v0.1.15.post2", "v0.1.15.post3")
    some = [of(tag, tp2={"asm": 36}) for tag in tags]
    assert list(pages.models(load(), some))[-1].startswith("| `one` | v0.1.15 to v0.1.15.post3 |")
    less = [each for each in some if each.release != "9bab8388"]
    row = list(pages.models(load(), less))[-1]
    assert row.startswith("| `one` | v0.1.15, v0.1.15.post1 to v0.1.15.post3 |")


def test_a_size_that_a_recipe_has_not_is_empty() -> None:
    some = [of(NEWEST, tp1={"asm": 36}), dataclasses.replace(of(NEWEST, tp8={}), recipe="two")]
    rows = list(pages.models(load(), some))
    assert rows[2:] == [
        f"| `one` | {NEWEST} |  | **0**; 36 assembly |  |",
        f"| `two` | {NEWEST} |  |  | **0** |",
    ]
