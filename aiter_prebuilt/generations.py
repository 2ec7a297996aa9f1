"""AITER's releases, and the rules by which each generation of them decides: one data file.

A generation is what several releases share: the names of modules and the rules of
``aiter/fused_moe.py``.  ``prebuild aiter`` writes the file from AITER's own repository; the
formulas that a rule's word stands for are those of the room ``choice``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.releases import BOOK
from aiter_prebuilt.values import value_class


@value_class(frozen=True, kw_only=True)
class Generation:
    """How releases that behave alike name modules, look rows up and choose a back end."""

    name: str
    """The first release of it."""
    names: Literal["joined", "plain"]
    """``joined``: the name of a module without split K ends in an underscore."""
    activations: tuple[str, ...]
    """What AITER's generator of CK2stages sources knows; it refuses any other."""
    tiers: tuple[int, ...]
    """Token counts from which on AITER rounds down to a tier; below, up to a power of two."""
    lower_tiers: bool
    """Whether a row is also looked for at the tiers below."""
    row_activation: Literal["exact", "any", "exact-then-any"]
    """Whose rows count: of the call's activation, of any, or of any where its own has none."""
    row_gfx: bool
    """Whether the gfx column of a row counts."""
    row_tags: Literal["all", "untagged", "not-fallback"]
    few_tokens_blockscale: bool
    """Whether rows of few block-scaled tokens count; v0.1.10 to v0.1.12 pass them by."""
    without_flydsl: Literal["as-is", "fallback", "fallback-any"]
    """A row that names FlyDSL where FlyDSL is missing: taken, or replaced by the row with the tag
    ``flydsl_fallback`` (of the same activation, or of any), else by the heuristic."""
    flydsl_rows: Literal["never", "stage2", "both"]
    """Which stages of a row can be FlyDSL's."""
    mxmoe_rows: bool
    """Whether a kernel ``flydsl_mxmoe_…`` takes the whole call, FlyDSL installed or not."""
    opus_rows: Literal["never", "stage2", "both"]
    cktile_rows: bool
    """Whether a row's kernel ``cktile_…`` is CK-Tile's."""
    one_stage_blockscale: int
    """What inter_dim has to be a multiple of."""
    one_stage_gelu: bool
    """Whether gelu has a one-stage kernel for block scales."""
    one_stage_fp8: Literal["weights-first", "inter-192", "few-or-odd"]
    flydsl_heuristic: Literal["never", "swiglu", "mxfp4"]
    """Which calls of MXFP4 go to FlyDSL without a row's word."""
    swiglu_mxfp4: Literal["cktile", "preshuffled-few", "unnamed"]
    """Which swiglu of MXFP4 is CK-Tile's: all; few tokens of preshuffled weights; these and all
    that no row has a name for."""
    swiglu_bound: int
    """Tokens from which on swiglu's activations are narrow."""
    swiglu_narrow: Literal["f8", "fp4x2"]
    ksplit_off: bool
    """Whether ``AITER_KSPLIT=-1`` also switches a row's split K off."""
    split_k: Literal["given-128x128", "any", "two-tiles"]
    """Which block-scaled calls split K: those whose caller says per_128x128; all; those whose parts
    hold two K tiles or more."""
    split_k_by_name: bool
    """Whether a row's kernel name decides about the ``_splitk`` module, else the parts of K."""
    unknown_instances: tuple[str, ...]
    """Parts of instance names that the wheel has and these releases have not: a call that names one
    takes AITER's heuristic there."""

    def stock_name(self, features: ModuleKey) -> str:
        """The name under which these releases ask for the module with these features."""
        name = features.stock_name
        return f"{name}_" if self.names == "joined" and not features.splitk else name


@value_class(frozen=True, kw_only=True)
class Parts:
    """Fingerprints of the sources that decide; None for one that cannot be read."""

    sources: str | None
    """The CK2stages sources, from which a module is compiled."""
    choice: str | None
    """The functions of ``fused_moe.py`` that choose a back end."""
    names: str | None
    """Those of ``ops/moe_op.py`` that name a module."""
    tables: str | None
    """Those of ``jit/core.py`` and ``chip_info.py`` that find tuned tables, gfx and CU count."""


@value_class(frozen=True, kw_only=True)
class Release:
    """One tag of ROCm/aiter (or commit), as it was read."""

    tag: str
    date: str
    commit: str
    generation: str
    parts: Parts
    ck: str
    """The composable kernel commit that it pins, eight digits."""
    flydsl: str | None
    """The FlyDSL version that it pins, None for none."""
    kernarg_preload: int
    """Its ``amdgpu-kernarg-preload-count``."""
    arch_check: bool
    """Whether it rebuilds a module in its JIT folder that holds no code for the running GPU."""


@value_class(frozen=True, kw_only=True)
class Book:
    """The whole file."""

    generations: Mapping[str, Generation]
    """Oldest first."""
    releases: tuple[Release, ...]
    """Oldest first."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Fingerprint of the CK2stages sources -> the newest release that has them."""
        return {
            release.parts.sources: release.tag
            for release in self.releases
            if release.parts.sources is not None
        }

    @property
    def newest(self) -> Generation:
        """The last generation that is known."""
        return tuple(self.generations.values())[-1]


@value_class(frozen=True, kw_only=True)
class Known:
    """Which generation's rules hold for an AITER, and how sure that is."""

    generation: Generation
    release: str | None
    """The newest release with the same parts; None where the rules are an assumption."""
    changed: tuple[str, ...]
    """Parts that no release has."""


@functools.cache
def load() -> Book:
    """Read the data file."""
    return parse(json.loads(BOOK.read_text(encoding="utf-8")))


def parse(raw: Mapping[str, Any]) -> Book:
    """Return the file's content as values: a generation holds what it changes of the one before.

    Raises KeyError or TypeError where the content is another's.
    """
    generations: dict[str, Generation] = {}
    rules: dict[str, Any] = {}
    for name, changes in raw["generations"].items():
        rules = {**rules, **{key: _frozen(value) for key, value in changes.items()}}
        generations[name] = Generation(name=name, **rules)
    releases = tuple(
        Release(**{**each, "parts": Parts(**each["parts"])}) for each in raw["releases"]
    )
    return Book(generations=generations, releases=releases)


def identify(found: Parts, book: Book) -> Known:
    """Return the generation whose rules an AITER with these parts has.

    ``sources`` do not count here: modules are compiled from them, calls are not routed by them.
    Where a part is that of no release, the newest generation is taken, as an assumption; how
    modules are named the part says by itself, if a release has it.
    """
    routed = ("choice", "names", "tables")
    mine = [getattr(found, part) for part in routed]
    for release in reversed(book.releases):
        if mine == [getattr(release.parts, part) for part in routed]:
            generation = book.generations[release.generation]
            return Known(generation=generation, release=release.tag, changed=())
    changed = tuple(
        part
        for part, digest in zip(routed, mine, strict=True)
        if digest not in {getattr(release.parts, part) for release in book.releases}
    )
    named = (each for each in reversed(book.releases) if each.parts.names == found.names)
    named_as = next(named, book.releases[-1] if book.releases else None)
    newest = book.newest
    names = book.generations[named_as.generation].names if named_as else newest.names
    assumed = replace(newest, names=names)
    return Known(generation=assumed, release=None, changed=changed or routed)


def _frozen(value: Any) -> Any:  # noqa: ANN401  JSON
    return tuple(value) if isinstance(value, list) else value
