"""The tables in the documents that are made from the data files of AITER's releases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from aiter_prebuilt.generations import Book, Generation, Release
from prebuild.aiter.reach import CK2STAGES, PLACES, Reach, grouped
from prebuild.aiter.repository import version
from prebuild.core.marked import between

Table = Callable[[Book, Sequence[Reach]], Iterator[str]]
_SHOWN = ("v0.1.12.post2", "v0.1.15.post3", "v0.1.17", "v0.1.19")
"""What the README shows besides the newest release: each sends calls to other back ends."""


def releases(book: Book, _: Sequence[Reach]) -> Iterator[str]:
    """All releases, those that are alike in one row."""
    yield "| releases | names | MXFP4 with FlyDSL | swiglu | CK | FlyDSL | preload |"
    yield "|---|---|---|---|---|---|---|"
    groups: dict[tuple[str, ...], list[Release]] = {}
    for release in book.releases:
        groups.setdefault(_cells(release, book.generations[release.generation]), []).append(release)
    for cells, alike in groups.items():
        first, last = alike[0], alike[-1]
        names = ", ".join(release.tag for release in alike)
        dates = first.date if first.date == last.date else f"{first.date} to {last.date}"
        yield f"| {names} ({dates}) | {' | '.join(cells)} |"


def overview(book: Book, every: Sequence[Reach]) -> Iterator[str]:
    """A row a recipe: the calls that reach CK2stages under the releases that people run."""
    newest = max((release.tag for release in book.releases), key=version)
    shown = [tag for tag in (*_SHOWN, newest) if any(each.release == tag for each in every)]
    yield f"| recipe | TP | {' | '.join(shown)} | the rest |"
    yield f"|---|---|{'---|' * len(shown)}---|"
    for recipe, found in itertools.groupby(every, key=lambda each: each.recipe):
        mine = [each for each in found if each.release in shown]
        cells = [_both([each for each in mine if each.release == tag]) for tag in shown]
        sizes = ", ".join(map(str, mine[0].counts))
        yield f"| `{recipe}` | {sizes} | {' | '.join(cells)} | {_rest(mine)} |"


def models(book: Book, every: Sequence[Reach]) -> Iterator[str]:
    """All releases: for each recipe a row for those that count alike."""
    sizes = sorted({size for each in every for size in each.counts})
    tags = _in_order(book)
    heads = " | ".join(f"TP {size}" for size in sizes)
    yield f"| recipe | AITER with FlyDSL | AITER without | {heads} |"
    yield f"|---|---|---|{'---|' * len(sizes)}"
    for recipe, found in itertools.groupby(every, key=lambda each: each.recipe):
        for alike in grouped(found):
            with_it, without = (
                _ranges([each.release for each in alike if each.flydsl == flydsl], tags)
                for flydsl in (True, False)
            )
            cells = " | ".join(_places(alike[0].counts.get(size)) for size in sizes)
            yield f"| `{recipe}` | {with_it} | {without} | {cells} |"


PAGES: Mapping[str, tuple[str, Table]] = {
    "README.md": ("reach", overview),
    "docs/aiter-releases.md": ("releases", releases),
    "docs/models.md": ("models", models),
}
"""Document -> the mark around its table, and the table."""


def written(root: Path, book: Book, every: Sequence[Reach]) -> Iterator[tuple[Path, str]]:
    """Yield every document with its table made anew."""
    for name, (mark, table) in PAGES.items():
        path = root / name
        yield path, between(path.read_text(encoding="utf-8"), mark, table(book, every))


def _cells(release: Release, generation: Generation) -> tuple[str, ...]:
    names = "end in `_`" if generation.names == "joined" else "plain"
    heuristic = {
        "never": "a tuned row alone",
        "swiglu": "a tuned row, or swiglu",
        "mxfp4": "preshuffled weights always",
    }[generation.flydsl_heuristic]
    flydsl = "has none" if generation.flydsl_rows == "never" else heuristic
    return (
        names,
        flydsl,
        "CK2stages, too" if "swiglu" in generation.activations else "no CK2stages",
        f"`{release.ck}`",
        release.flydsl or "none",
        str(release.kernarg_preload),
    )


def _both(mine: Sequence[Reach]) -> str:
    """The calls that reach CK2stages, least to most over TP: with FlyDSL / without."""
    found = [_span(each) for each in sorted(mine, key=lambda each: not each.flydsl)]
    return " / ".join(dict.fromkeys(found))


def _span(found: Reach) -> str:
    reached = [counts.get(CK2STAGES, 0) for counts in found.counts.values()]
    low, high = min(reached), max(reached)
    return str(low) if low == high else f"{low}-{high}"


def _rest(mine: Iterable[Reach]) -> str:
    there = {place for each in mine for counts in each.counts.values() for place in counts}
    return ", ".join(name for place, name in PLACES.items() if place in there - {CK2STAGES})


def _places(counts: Mapping[str, int] | None) -> str:
    if counts is None:
        return ""
    others = (f"{n} {PLACES[place]}" for place, n in counts.items() if place != CK2STAGES)
    return "; ".join([f"**{counts.get(CK2STAGES, 0)}**", *others])


def _in_order(book: Book) -> list[str]:
    """Releases by version; a commit behind the release that came before it."""
    tags = [release.tag for release in book.releases]
    order = sorted((tag for tag in tags if version(tag)), key=version)
    for before, tag in itertools.pairwise(tags):
        if not version(tag):
            order.insert(order.index(before) + 1, tag)
    return order


def _ranges(found: Sequence[str], tags: Sequence[str]) -> str:
    """Releases that follow each other as ``first to last``."""
    runs: list[list[str]] = []
    for tag in tags:
        if tag not in found:
            runs.append([])
        else:
            runs = runs or [[]]
            runs[-1].append(tag)
    if len(found) == len(tags):
        return "all"
    ends = [run if len(run) < 2 else [run[0], run[-1]] for run in runs if run]  # noqa: PLR2004
    return ", ".join(" to ".join(run) for run in ends)
