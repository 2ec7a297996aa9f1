"""The AITER that a question is about: its rules, its tables, and what it reads of this host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aiter_prebuilt import generations, target
from aiter_prebuilt.choice import explain, lookup
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.generations import Generation, Known
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import gpu, hip, parts
from aiter_prebuilt.settings import AiterSettings, Settings
from aiter_prebuilt.values import value_class


class AiterError(PrebuiltError):
    """The AITER that was named is not there, or no release has its name."""


@value_class(frozen=True, kw_only=True)
class Wish:
    """What the caller wants otherwise than this host has it."""

    path: Path | None = None
    """A checkout or a package's folder instead of the installed package."""
    release: str | None = None
    """The rules of this release."""
    flydsl: bool | None = None
    cu_count: int | None = None
    gives_1x128: bool = False
    """Whether the caller names block scales per_1x128 and not, as servers do, per_128x128."""


@value_class(frozen=True, kw_only=True)
class Aiter:
    """The AITER at hand."""

    root: Path | None
    """Its package folder, None where none is installed."""
    version: str | None
    generation: str
    release: str | None
    """A release with the same rules; None where the rules are an assumption."""
    flydsl: bool
    cu_count: int
    environment: tuple[str, ...]
    """The variables that count, as ``NAME=value``."""
    notes: tuple[str, ...]
    """What was assumed, and what AITER cannot read."""


def look(asked: Settings, variables: AiterSettings, wish: Wish) -> tuple[explain.AiterAt, Aiter]:
    """Return how to ask about the AITER of this host, and what there is to say of it.

    Raises AiterError where ``wish`` names what is not there.
    """
    root = _root(wish.path)
    known, version, notes = _known(root, asked.meta_dir, wish.release)
    counts, more = _cu_count(asked, variables, wish)
    rules = Rules(
        generation=known.generation,
        flydsl=hip.is_installed("flydsl") if wish.flydsl is None else wish.flydsl,
        cu_count=counts,
        gives_1x128=wish.gives_1x128,
        ksplit=variables.ksplit,
        bypass=variables.bypass_tuned,
        flydsl_force=variables.flydsl_force,
        swiglu_bound=variables.swiglu_bound,
    )
    if wish.gives_1x128 and rules.generation.split_k == "given-128x128":
        more.append("such an AITER splits K where the caller says per_128x128, as servers do")
    at = explain.AiterAt(tables=_tables(root, variables), rules=rules)
    return at, Aiter(
        root=root,
        version=version,
        generation=known.generation.name,
        release=known.release,
        flydsl=rules.flydsl,
        cu_count=rules.cu_count,
        environment=tuple(_environment(variables)),
        notes=(*notes, *more, *variables.problems),
    )


def _root(path: Path | None) -> Path | None:
    if path is None:
        return contract.locate()
    for root in (path / "aiter", path):
        if (root / "fused_moe.py").is_file():
            return root
    raise AiterError(f"{path} holds no AITER: expected fused_moe.py there or in its folder aiter")


def _known(
    root: Path | None, meta_dir: str | None, release: str | None
) -> tuple[Known, str | None, list[str]]:
    """Whose rules hold, the version of the AITER in ``root``, and what is assumed."""
    book = generations.load()
    facts = contract.gather(root, meta_dir) if root is not None else None
    version = facts.version if facts is not None else None
    if release is not None:
        return _named(release, book), version, []
    if root is None or facts is None:
        note = f"no AITER is installed: the rules are those of {book.newest.name}, its tables none"
        return Known(generation=book.newest, release=None, changed=()), None, [note]
    known = generations.identify(parts.read(root, facts.fingerprint), book)
    notes = [] if known.release is not None else [_assumed(known.generation, known.changed)]
    return known, version, notes


def _named(release: str, book: generations.Book) -> Known:
    for each in book.releases:
        if each.tag == release:
            generation = book.generations[each.generation]
            return Known(generation=generation, release=release, changed=())
    names = ", ".join(each.tag for each in book.releases)
    raise AiterError(f"no release {release!r} is known; known are {names}")


def _assumed(newest: Generation, changed: tuple[str, ...]) -> str:
    return (
        f"this AITER is none that was read (its {', '.join(changed)} differ): the answers assume "
        f"the rules of {newest.name} and later"
    )


def _cu_count(asked: Settings, variables: AiterSettings, wish: Wish) -> tuple[int, list[str]]:
    if wish.cu_count is not None:
        return wish.cu_count, []
    if variables.cu_num:
        return variables.cu_num, []
    found = set(gpu.compute_units(Path(asked.sysfs_root)))
    whole = target.load().cu_count
    if len(found) == 1:
        return found.pop(), []
    if not found:
        return whole, [f"no GPU was found: {whole} compute units are assumed"]
    counts = ", ".join(map(str, sorted(found)))
    return whole, [f"GPUs have {counts} compute units: AITER raises, {whole} are assumed"]


def _tables(root: Path | None, variables: AiterSettings) -> tuple[Path, ...]:
    if variables.tables:
        return tuple(map(Path, variables.tables))
    return lookup.installed(root / "configs") if root is not None else ()


def _environment(variables: AiterSettings) -> Iterator[str]:
    pairs = (
        ("CU_NUM", variables.cu_num, 0),
        ("AITER_KSPLIT", variables.ksplit, 0),
        ("AITER_BYPASS_TUNE_CONFIG", int(variables.bypass_tuned), 0),
        ("AITER_FLYDSL_FORCE", int(variables.flydsl_force), 1),
        ("GPTOSS_SWIGLU_MXFP4_BF16_BOUND", variables.swiglu_bound, None),
        ("AITER_CONFIG_FMOE", ":".join(variables.tables), ""),
    )
    return (f"{name}={value}" for name, value, usual in pairs if value != usual)
