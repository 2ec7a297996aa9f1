"""What is said of an AITER, in lines for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from aiter_prebuilt.generations import Book
from prebuild.aiter.book import Verdict, judge
from prebuild.aiter.repository import Tagged
from prebuild.aiter.tree import changed

_SHORT = 8


def one(verdict: Verdict) -> Iterator[str]:
    """Yield the lines on one AITER."""
    tree, known = verdict.tree, verdict.known
    yield f"AITER {tree.facts.version or '(no version)'} at {tree.root}"
    if known.release is not None:
        yield f"rules: those of {known.release} (generation {known.generation.name})"
    else:
        yield f"rules: new in {', '.join(known.changed)}; taken for {known.generation.name}"
    kernels = "compared" if verdict.sources_known else "not compared with our tables"
    yield f"CK2stages sources: {str(tree.parts.sources)[:_SHORT]}, {kernels}"
    yield f"pins FlyDSL {tree.flydsl or '(none)'}, kernarg preload {tree.kernarg_preload}"
    if verdict.problems:
        yield "contract: does not fit, so no module is served"
        yield from (f"  - {problem}" for problem in verdict.problems)
        return
    yield "contract: fits"
    yield f"names: {known.generation.stock_name(verdict.example)}"
    served = [name for name, why in verdict.modules if not why]
    yield f"modules: {len(served)} of {len(verdict.modules)} kinds can be served"
    for why, kinds in itertools.groupby(sorted(why for _, why in verdict.modules if why)):
        yield f"  - {len(list(kinds))} not: {why}"


def several(found: Sequence[Tagged], book: Book, before: Mapping[str, Tagged]) -> Iterator[str]:
    """Yield a line a release, and what changed in one that is new."""
    known = {release.tag for release in book.releases}
    for each in found:
        verdict = judge(each.tree, book)
        name = verdict.known.generation.name
        rules = f"rules of {name}" if verdict.known.release else f"new; taken for {name}"
        kernels = "" if verdict.sources_known else ", CK2stages sources not compared"
        contract = "" if not verdict.problems else ", contract does not fit"
        listed = "" if each.tag in known else ", not in the data file"
        yield f"{each.tag:18} {each.date}  {rules}{kernels}{contract}{listed}"
        if each.tag in before and verdict.known.release is None:
            since = before[each.tag]
            yield from (
                f"  changed since {since.tag}: {it}" for it in changed(since.tree, each.tree)
            )
