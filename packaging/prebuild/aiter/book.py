"""The data file of AITER's releases: what a tree belongs to, and the file with it in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiter_prebuilt.generations import Book, Generation, Known, Release, identify
from prebuild.aiter.repository import Tagged
from prebuild.aiter.tree import AiterError, Tree


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one AITER is to us."""

    tree: Tree
    known: Known
    sources_known: bool
    """Whether its CK2stages sources are those of a release that was compared with our tables."""


def judge(tree: Tree, book: Book) -> Verdict:
    """Return whose rules a tree has, and whether its kernels are known."""
    return Verdict(
        tree=tree,
        known=identify(tree.parts, book),
        sources_known=tree.parts.sources in book.sources,
    )


def release_of(found: Tagged, book: Book, generation: str | None) -> Release:
    """Return the file's line for a release.

    ``generation`` names whose rules it has where its parts are new: somebody has read what changed.
    Raises AiterError where nobody has, or where the name is no generation.
    """
    verdict = judge(found.tree, book)
    if generation is not None and generation not in book.generations:
        known = ", ".join(book.generations)
        raise AiterError("no such generation:", [f"{generation!r}; known are {known}"])
    if generation is None and verdict.known.release is None:
        news = ", ".join(verdict.known.changed)
        todo = "read what changed and name the generation whose rules it has (--as)"
        raise AiterError(f"{found.tag} is new:", [f"no release has its {news}; {todo}"])
    return Release(
        tag=found.tag,
        date=found.date,
        commit=found.commit,
        generation=generation or verdict.known.generation.name,
        parts=found.tree.parts,
        ck=found.ck,
        flydsl=found.tree.flydsl,
        kernarg_preload=found.tree.kernarg_preload or 0,
        arch_check=found.tree.arch_check,
    )


def with_releases(book: Book, releases: Iterable[Release]) -> Book:
    """Return the book with releases put in, or put in place of older readings of them."""
    new = {release.tag: release for release in releases}
    kept = [new.pop(release.tag, release) for release in book.releases]
    every = sorted([*kept, *new.values()], key=lambda release: release.date)
    return dataclasses.replace(book, releases=tuple(every))


def as_text(book: Book) -> str:
    """Return the file: each generation by what it changes of the one before, a line a release."""
    lines = ["{", ' "generations": {']
    before: Mapping[str, Any] = {}
    blocks = []
    for generation in book.generations.values():
        rules = _rules(generation)
        changes = {key: value for key, value in rules.items() if before.get(key) != value}
        body = ",\n".join(f"   {json.dumps(key)}: {json.dumps(changes[key])}" for key in changes)
        blocks.append(f"  {json.dumps(generation.name)}: {{\n{body}\n  }}")
        before = rules
    lines += [",\n".join(blocks), " },", ' "releases": [']
    rows = [f"  {json.dumps(dataclasses.asdict(release))}" for release in book.releases]
    lines += [",\n".join(rows), " ]", "}", ""]
    return "\n".join(lines)


def _rules(generation: Generation) -> dict[str, Any]:
    rules = dataclasses.asdict(generation)
    del rules["name"]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in rules.items()}
