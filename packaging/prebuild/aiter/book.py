"""The data file of AITER's releases: what a tree belongs to, and the file with it in."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiter_prebuilt.call import STAGES, ModuleKey
from aiter_prebuilt.generations import Book, Generation, Known, Release, identify
from aiter_prebuilt.host.aiter import AiterFacts
from aiter_prebuilt.host.match import differences
from prebuild.aiter.repository import Tagged
from prebuild.aiter.tree import AiterError, Tree
from prebuild.core.contracts import load_contracts
from prebuild.core.model import Family
from prebuild.families import load_families
from prebuild.plan import rules


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one AITER is to us."""

    tree: Tree
    known: Known
    sources_known: bool
    """Whether its CK2stages sources are those of a release that was compared with our tables."""
    problems: tuple[str, ...]
    """Where its stubs and enums are not what the modules were made for."""
    modules: tuple[tuple[str, str], ...]
    """For each kind of module the name that it asks for, and why it is not served."""
    example: ModuleKey

    @property
    def served(self) -> bool:
        """Whether all is known and fits."""
        return self.known.release is not None and self.sources_known and not self.problems


def judge(tree: Tree, book: Book) -> Verdict:
    """Return whose rules a tree has, whether its kernels are known, and what it would be served."""
    known = identify(tree.parts, book)
    problems = tree.facts.problems or _disagreed(tree.facts)
    kinds = tuple(_kinds())
    return Verdict(
        tree=tree,
        known=known,
        sources_known=tree.parts.sources in book.sources,
        problems=problems,
        modules=tuple(
            (known.generation.stock_name(features), _why_not(features, family, known.generation))
            for features, family in kinds
        ),
        example=kinds[0][0],
    )


def _disagreed(facts: AiterFacts) -> tuple[str, ...]:
    """Where the stubs and enums are those of no contract, the differences from the nearest one."""
    every = [
        tuple(reason.message for reason in differences(generation.contract, facts))
        for generation in load_contracts()
    ]
    return min(every, key=len)


def is_known(found: Tagged, book: Book) -> bool:
    """Whether the file has a release as it was read now."""
    mine = [release for release in book.releases if release.tag == found.tag]
    return bool(mine) and mine[0].parts == found.tree.parts


def _kinds() -> Iterator[tuple[ModuleKey, Family]]:
    """Every kind of module that a family can make, preshuffled where that is possible."""
    for family in load_families().values():
        for (a, b, c), quant, activation, splitk, late in itertools.product(
            family.dtypes, family.quants, family.activations, family.splitk, STAGES
        ):
            features = ModuleKey(
                a_dtype=a,
                b_dtype=b,
                c_dtype=c,
                preshuffle=family.preshuffle[0],
                activation=activation,
                quant=quant,
                routed_weight_stage=late,
                splitk=splitk,
            )
            yield features, family


def _why_not(features: ModuleKey, family: Family, generation: Generation) -> str:
    if features.activation not in generation.activations:
        return f"such an AITER has no kernels for {features.activation}"
    left_out = rules.unavailable(family, features, features.stock_name)
    return left_out.reason if left_out is not None else ""


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
