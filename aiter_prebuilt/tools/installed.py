"""The AITER that a question is about: its rules, its tables, and what it reads of this host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aiter_prebuilt import _hook, generations, settings, target
from aiter_prebuilt.choice import explain, lookup
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.generations import Generation, Known
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host import gpu, hip, parts
from aiter_prebuilt.host.aiter import AiterFacts
from aiter_prebuilt.host.match import judge_hip
from aiter_prebuilt.settings import AiterSettings, Settings
from aiter_prebuilt.tools import jitdir, supply
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store

_UNCHECKED = (
    "its CK2stages sources were not checked with the wheel: what a module refuses, or does not "
    "know, goes to AITER's own build"
)


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
    image: bool | None = None
    """Answer for a host with the wheel's GPU instead of this one; None: where this one has none."""


@value_class(frozen=True, kw_only=True)
class Aiter:
    """The AITER at hand."""

    root: Path | None
    """Its package folder, None where none is installed."""
    version: str | None
    generation: str
    release: str | None
    """A release with the same rules; None where the rules are an assumption."""
    checked: bool
    """Whether its CK2stages sources were checked with the wheel; true where there is no AITER."""
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
    facts = contract.gather(root, asked.meta_dir) if root is not None else None
    known, notes = _known(facts, wish.release)
    checked = wish.release is not None or _is_checked(facts)
    notes += [] if checked else [_UNCHECKED]
    counts, more, mixed = _cu_count(asked, variables, wish)
    rules = Rules(
        generation=known.generation,
        flydsl=hip.is_installed("flydsl") if wish.flydsl is None else wish.flydsl,
        cu_count=counts,
        gives_1x128=wish.gives_1x128,
        ksplit=variables.ksplit,
        bypass=variables.bypass_tuned,
        flydsl_force=variables.flydsl_force,
        swiglu_bound=variables.swiglu_bound,
        online_tune=variables.online_tune,
    )
    if wish.gives_1x128 and rules.generation.split_k == "given-128x128":
        more.append("such an AITER splits K where the caller says per_128x128, as servers do")
    at = explain.AiterAt(
        tables=_tables(root, variables),
        rules=rules,
        checked=checked,
        problem="; ".join((*variables.problems, *mixed)),
    )
    return at, Aiter(
        root=root,
        version=facts.version if facts is not None else None,
        generation=known.generation.name,
        release=known.release,
        checked=checked,
        flydsl=rules.flydsl,
        cu_count=rules.cu_count,
        environment=(*_settings(asked), *_environment(variables)),
        notes=(*notes, *more),
    )


def generation(facts: AiterFacts | None) -> Generation:
    """Return the generation whose rules an AITER has; the newest known where there is none."""
    return _known(facts, None)[0].generation


def host_of(
    asked: Settings, wish: Wish, shelves: tuple[store.Shelf, ...]
) -> tuple[supply.Host, tuple[str, ...]]:
    """Return the host that a question is about, and what is assumed of it.

    What is there and does not fit declines a module; what is missing is taken for given where this
    is no host that serves: an AITER everywhere, a HIP runtime where there is no GPU.
    """
    here = host.gather(asked)
    seen, assumed = supply.seen(here.gpu, settings.visible()), {"aiter-missing"}
    notes: list[str] = []
    if wish.image or (wish.image is None and not here.gpu.targets):
        seen = supply.image()
        assumed.add("hip-missing")
        notes = [_imagined(wish, seen.gpu.targets[0], here)]
    root = _root(wish.path)
    view = host.View(
        gpu=seen.gpu,
        own_aiter=wish.path is None and wish.release is None,
        aiter=contract.gather(root, asked.meta_dir) if wish.path is not None and root else None,
        assumed=frozenset(assumed),
    )
    there = supply.Host(
        asked=asked,
        shelves=shelves,
        jit=jitdir.gather(asked, root if wish.release is None else None),
        gpu=seen.gpu,
        view=view,
        finder=_hook.place(),
    )
    return there, (*notes, *(problem.message for problem in seen.problems))


def _imagined(wish: Wish, gfx: str, here: host.HostFacts) -> str:
    """What is assumed where the answers are not for this very host."""
    missing = [reason.code for reason in judge_hip((host.DEFAULT_RUNTIME,), here.hip)]
    runtime = " and a HIP runtime" if "hip-missing" in missing else ""
    what = f"the answers are for a host with {gfx}{runtime} and this installation"
    if wish.image:
        return f"{what} (--image)"
    return f"no GPU was found: {what}; --no-image answers for this very host"


def _root(path: Path | None) -> Path | None:
    if path is None:
        return contract.locate()
    for root in (path / "aiter", path):
        if (root / "fused_moe.py").is_file():
            return root
    raise AiterError(f"{path} holds no AITER: expected fused_moe.py there or in its folder aiter")


def _is_checked(facts: AiterFacts | None) -> bool:
    return facts is None or facts.fingerprint in generations.load().sources


def _known(facts: AiterFacts | None, release: str | None) -> tuple[Known, list[str]]:
    """Whose rules hold for an AITER, and what is assumed."""
    book = generations.load()
    if release is not None:
        return _named(release, book), []
    if facts is None:
        note = f"no AITER is installed: the rules are those of {book.newest.name}, its tables none"
        return Known(generation=book.newest, release=None, changed=()), [note]
    known = generations.identify(parts.read(Path(facts.root), facts.fingerprint), book)
    notes = [] if known.release is not None else [_assumed(known.generation, known.changed)]
    return known, notes


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


def _cu_count(
    asked: Settings, variables: AiterSettings, wish: Wish
) -> tuple[int, list[str], list[str]]:
    """The compute units that AITER sees, what is assumed, and why it raises."""
    if wish.cu_count is not None:
        return wish.cu_count, [], []
    if variables.cu_num:
        return variables.cu_num, [], []
    found = set(gpu.compute_units(Path(asked.sysfs_root)))
    whole = target.load().cu_count
    if len(found) == 1:
        return found.pop(), [], []
    if not found:
        return whole, [f"no GPU was found: {whole} compute units are assumed"], []
    several = f"GPUs have {', '.join(map(str, sorted(found)))} compute units"
    if "ROCR_VISIBLE_DEVICES" in dict(settings.visible()):  # it hides them from rocminfo, too
        note = f"{several}, which of them ROCR_VISIBLE_DEVICES leaves is not known"
        return whole, [f"{note}: {whole} are assumed"], []
    return whole, [], [f"{several}, expected one number: AITER raises"]


def _tables(root: Path | None, variables: AiterSettings) -> tuple[Path, ...]:
    if variables.tables:
        return tuple(map(Path, variables.tables))
    return lookup.installed(root / "configs") if root is not None else ()


def _settings(asked: Settings) -> Iterator[str]:
    pairs = (
        ("AITER_PREBUILT", asked.mode, "auto"),
        ("AITER_PREBUILT_UNCOVERED", asked.uncovered, "auto"),
        ("AITER_REBUILD", asked.rebuild, 0),
    )
    return (f"{name}={value}" for name, value, usual in pairs if value != usual)


def _environment(variables: AiterSettings) -> Iterator[str]:
    pairs = (
        ("CU_NUM", variables.cu_num, 0),
        ("AITER_KSPLIT", variables.ksplit, 0),
        ("AITER_BYPASS_TUNE_CONFIG", int(variables.bypass_tuned), 0),
        ("AITER_ONLINE_TUNE", int(variables.online_tune), 0),
        ("AITER_FLYDSL_FORCE", int(variables.flydsl_force), 1),
        ("GPTOSS_SWIGLU_MXFP4_BF16_BOUND", variables.swiglu_bound, None),
        ("AITER_CONFIG_FMOE", ":".join(variables.tables), ""),
    )
    return (f"{name}={value}" for name, value, usual in pairs if value != usual)
