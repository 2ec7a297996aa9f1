"""The manifest: the one contract that the build side and the runtime share.

``manifest.json`` lies beside the modules in the wheel.  The build side writes it with
:func:`dump`, the runtime reads it with :func:`parse`; both use the types below, so that a field
has one definition.  Standard library only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from aiter_prebuilt.call import ModuleKey, Shape, Stage, Tail
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.typed import MisfitError, read

SCHEMA_VERSION = 4
"""Raised by one whenever a reader of the old schema would misread the new one."""

MANIFEST_NAME = "manifest.json"

Coverage = Literal["deployed", "sound", "full"]
"""What a module holds: what some deployments reach; all of AITER's but kernels with wrong numbers;
all of it, with right kernels for the calls of wrong ones (:class:`Instead`).  Only a full one may
stand under AITER's name without a guard."""
COVERAGES: tuple[Coverage, ...] = ("deployed", "sound", "full")
"""The same, in the order in which modules of one name are tried: the narrower first."""


class ManifestError(Exception):
    """The manifest is not one that this version can read; the message names the key at fault."""


@value_class(frozen=True, kw_only=True)
class Kernel:
    """One GPU kernel of an instance, with the resources that its code object states."""

    main_loop: bool
    """Whether it is the one with CK's main K loop (HasMainKBlockLoop)."""
    tail: Tail
    """CK's TailNumber for which it was instantiated."""
    symbol: str
    vgprs: int
    agprs: int
    sgprs: int
    lds_bytes: int
    scratch_bytes: int
    """Private segment (scratch) of one work-item, in bytes."""
    vgpr_spills: int
    sgpr_spills: int
    code_bytes: int
    verified: Mapping[str, Any] | None = None
    """Verdict of ``prebuild verify-kernels`` (executor version, problems, largest error)."""
    as_aiter: tuple[str, ...] = ()
    """The AITERs whose own sources were seen to give this machine code, with the compiler and the
    composable kernel of the build record; none: nobody has compared (``prebuild identity``)."""


@value_class(frozen=True, kw_only=True)
class Reach:
    """One way by which AITER's heuristic reaches an instance; bounds are inclusive."""

    block_m: int
    inter_dim_min: int = 0
    inter_dim_max: int | None = None
    inter_dim_multiple_of: int = 1
    inter_dim_not_multiple_of: int | None = None

    def covers(self, block_m: int, inter_dim: int) -> bool:
        """Whether a call with this block_m and inter_dim meets the condition."""
        return (
            self.block_m == block_m
            and self.inter_dim_min <= inter_dim
            and (self.inter_dim_max is None or inter_dim <= self.inter_dim_max)
            and inter_dim % self.inter_dim_multiple_of == 0
            and (
                self.inter_dim_not_multiple_of is None
                or inter_dim % self.inter_dim_not_multiple_of != 0
            )
        )


@value_class(frozen=True, kw_only=True)
class Instead:
    """A kernel of an instance whose numbers are wrong, and who answers the calls that need it."""

    main_loop: bool
    tail: Tail
    instance: str
    """AITER's name of the one that answers, where its tile divides N and K; of the same module,
    stage and block_m, so that it reads and writes the same."""
    reason: str
    """What is wrong with the kernel."""


@value_class(frozen=True, kw_only=True)
class Instance:
    """One CK device-op instance, under AITER's name for it."""

    name: str
    stage: Stage
    block_m: int
    n_per_block: int
    k_per_block: int
    """Elements of K that one main-loop step consumes (256 for two-a-byte fp4x2)."""
    prefetch_stages: int
    """CK's main loop runs where K / k_per_block is greater than this."""
    tails: Literal["parity", "full"]
    """Whether it has a kernel for odd and one for even K steps, or one for both."""
    reached_by: tuple[Reach, ...]
    """Empty: by kernelName only."""
    instead: tuple[Instead, ...] = ()
    """Those of its kernels that no module holds, with what runs in their place."""
    kernels: tuple[Kernel, ...] = ()
    """Those that the module holds; none where the instance is left out."""

    def is_named(self, parts: Iterable[str]) -> bool:
        """Whether one of these parts of names, as ``data/aiter.json`` has them, is in its name."""
        return any(part in self.name for part in parts)


@value_class(frozen=True, kw_only=True)
class Harvest:
    """What a module that an installed AITER compiled is bound to (``prebuild harvest``)."""

    aiter_version: str | None
    aiter_sources: str
    """:func:`sources_digest` of the csrc folder that it was compiled from."""
    cpython: str | None
    """The one ``major.minor`` that it was compiled for; None for the stable ABI."""
    torch: str | None
    """``major.minor`` of the torch that it is linked to; None where it is not."""


@value_class(frozen=True, kw_only=True)
class Module:
    """One shared object of the wheel."""

    name: str
    """Its own import name (``PyInit_<name>``); differs from ``stock_name`` where it is reduced."""
    stock_name: str
    """AITER's name for the full module, under which the finder serves it."""
    features: ModuleKey | None
    """None for a harvested module of another kind than CK2stages."""
    coverage: Coverage
    key: str
    """sha256 over stock name and coverage: two modules of the same key hold the same kernels."""
    file: str
    """Path below the manifest's directory, with forward slashes."""
    sha256: str
    size: int
    gfx_targets: tuple[str, ...]
    cpython_floor: str
    glibc_floor: str
    needed: tuple[str, ...]
    """DT_NEEDED sonames."""
    recipes: tuple[str, ...]
    instances: tuple[Instance, ...]
    """All of AITER's module in its order, also those that are left out: a call for such a one is
    handed on.  Empty for a harvested module."""
    harvest: Harvest | None = None
    """None for a module of this project's own."""
    contracts: tuple[str, ...] = ()
    """The manifest's contracts that its code meets, one at least; a harvested module has none."""

    @property
    def built(self) -> tuple[Instance, ...]:
        """The instances of which it holds kernels."""
        return tuple(instance for instance in self.instances if instance.kernels)


@value_class(frozen=True, kw_only=True)
class LeftOut:
    """Something that was asked for and is not in the wheel (a flag, an instance), and why."""

    what: str
    reason: str


@value_class(frozen=True, kw_only=True)
class BuildRecord:
    """What the modules were made with."""

    toolchain: str
    """``debian`` or ``rocm``."""
    compiler: str
    hip_version: str
    ck_version: str
    gfx_target: str
    device_flags: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    packages: tuple[str, ...]
    """``name=version`` of each package the compiler came from; empty for a ROCm tree."""
    source_commit: str
    source_dirty: bool
    recipes: Mapping[str, str]
    """Recipe name -> sha256 of its normalised content."""
    container: str | None = None
    """``name@sha256:...`` of the container that it was built in, if any."""
    code_generator: str | None = None
    """What made kernels of ``compiler``'s IR; None where the compiler did it all itself."""
    ck_origin: str | None = None
    """Whose checkout composable kernel came from; None: from the toolchain's own packages."""


@value_class(frozen=True, kw_only=True)
class Deployment:
    """One module of a recipe at one tensor-parallel size, and the batches that it has to serve."""

    recipe: str
    tp: int
    shape: Shape
    tokens_min: int
    tokens_max: int
    features: ModuleKey


@value_class(frozen=True, kw_only=True)
class Contract:
    """What a module assumes of AITER, and AITER of it: one generation of releases has one."""

    signatures: Mapping[str, str]
    """Function name -> first docstring line."""
    quant_types: Mapping[str, int]
    activation_types: Mapping[str, int]
    aliases: Mapping[str, str]
    """Another name of a parameter -> its name in the signatures; AITER uses both."""
    endings: tuple[str, ...] = ("",)
    """What AITER ends a module's name with where it is not split-K; releases differ."""

    def names_of(self, module: Module) -> tuple[str, ...]:
        """Return the names under which AITER asks for ``module``, by release."""
        split = module.features is not None and module.features.splitk
        return tuple(module.stock_name + ending for ending in (("",) if split else self.endings))


@value_class(frozen=True, kw_only=True)
class Manifest:
    """All of a wheel."""

    schema: int
    version: str
    build: BuildRecord
    contracts: Mapping[str, Contract]
    """By the first release of a generation."""
    modules: tuple[Module, ...]
    deployments: tuple[Deployment, ...] = ()


def sources_digest(folder: Path) -> str | None:
    """Return the sha256 over names and content of all files below ``folder``, byte code left out.

    None where there is no such folder.
    """
    if not folder.is_dir():
        return None
    listing = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            listing.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return listing.hexdigest()


def dump(manifest: Manifest) -> str:
    """Return the manifest as JSON text; the same manifest gives the same bytes."""
    return json.dumps(dataclasses.asdict(manifest), indent=1, sort_keys=True) + "\n"


def parse(text: str) -> Manifest:
    """Read a manifest from JSON text.

    Raises :class:`ManifestError` where it is not JSON, of another schema version, or where a key is
    missing, unknown or of the wrong type; the message names the path of the key.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"manifest is not JSON: {error}") from error
    found = raw.get("schema") if isinstance(raw, dict) else None
    if found != SCHEMA_VERSION:
        raise ManifestError(
            f"manifest schema is {found!r}, this version reads {SCHEMA_VERSION}: the modules and "
            "the package are of different releases"
        )
    try:
        manifest: Manifest = read(Manifest, raw, "manifest")
    except MisfitError as error:
        raise ManifestError(str(error)) from error
    for position, module in enumerate(manifest.modules):
        _check_module(module, f"manifest.modules[{position}]")
        _check_contracts(module, manifest, f"manifest.modules[{position}]")
    for label in ("name", "file", "key"):
        _check_unique(label, [getattr(module, label) for module in manifest.modules])
    return manifest


_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.so")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _check_module(module: Module, where: str) -> None:
    if not _FILE.fullmatch(module.file):
        raise ManifestError(f"{where}.file is {module.file!r}, expected a relative path of a .so")
    if not _SHA256.fullmatch(module.sha256):
        raise ManifestError(f"{where}.sha256 is {module.sha256!r}, expected 64 hex digits")
    for label, name in (("name", module.name), ("stock_name", module.stock_name)):
        if not name.isidentifier():
            raise ManifestError(f"{where}.{label} is {name!r}, expected a module name")
    if module.size < 0:
        raise ManifestError(f"{where}.size is {module.size}, expected a number of bytes")
    if module.name == module.stock_name and module.coverage != "full":
        raise ManifestError(
            f"{where}.coverage is {module.coverage} with name {module.name!r} for "
            f"{module.stock_name!r}; only a full module bears AITER's name"
        )
    _check_instead(module, where)


def _check_instead(module: Module, where: str) -> None:
    """Who answers in another one's place has to mean the same."""
    known = {each.name: (each.stage, each.block_m) for each in module.instances}
    for instance in module.instances:
        for rule in instance.instead:
            if known.get(rule.instance) != known[instance.name] or rule.instance == instance.name:
                raise ManifestError(
                    f"{where}: {rule.instance!r} answers calls of {instance.name!r}, expected "
                    f"another instance of stage {instance.stage} and block_m {instance.block_m}"
                )


def _check_contracts(module: Module, manifest: Manifest, where: str) -> None:
    unknown = sorted(set(module.contracts) - set(manifest.contracts))
    if unknown or (module.harvest is None) != bool(module.contracts):
        raise ManifestError(
            f"{where}.contracts is {list(module.contracts)}, expected "
            + ("none" if module.harvest is not None else f"some of {sorted(manifest.contracts)}")
        )


def _check_unique(label: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ManifestError(f"manifest.modules: {label} {value!r} is there twice")
