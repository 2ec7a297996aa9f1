"""The values that cross from one stage to the next: frozen, keyword-only, without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from aiter_prebuilt.call import ModuleKey, Stage, Tail, Variant
from aiter_prebuilt.wheel.manifest import Coverage, Instance, Reach
from prebuild.core.contracts import Generation

OnDone = Callable[[int, int, str], None]
"""Told of each finished step of long work: (finished, total, what it was)."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """CK's block tile: rows, columns, threads; K in stored elements, as AITER's tables give it.

    A stored element is one f16, one f8 or one byte of two fp4 values.
    """

    block_size: int
    m: int
    n: int
    k: int
    m_waves: int
    n_waves: int
    pipeline: int

    @property
    def text(self) -> str:
        """``256x128x128x128_1x4``, as AITER writes it into instance names."""
        shape = f"{self.block_size}x{self.m}x{self.n}x{self.k}"
        return f"{shape}_{self.m_waves}x{self.n_waves}"

    @property
    def version(self) -> str:
        """The block pipeline, as CK names it: ``v1`` or ``v3``."""
        return f"v{self.pipeline}"

    @property
    def name(self) -> str:
        """Tile and pipeline, as recipes write them: ``256x128x128x128_1x4_v3``."""
        return f"{self.text}_{self.version}"


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What is wrong with a kernel, and who answers the calls that need it."""

    reason: str
    instead: Tile | None
    """An instance of the same stage and rows; None where no right one means the same."""


@dataclass(frozen=True, kw_only=True)
class InstanceFacts:
    """One row of a family's table."""

    stage: Stage
    tile: Tile
    reached_by: tuple[Reach, ...]
    wrong: Mapping[Variant, Wrong]
    """Kernels whose numbers were found wrong: no module holds them."""
    wrong_split: Mapping[Variant, Wrong]
    """More of them, where K is split."""


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """A call feature that AITER has and the composable kernel at hand has not."""

    feature: str
    """Name of a field of ``ModuleKey``."""
    value: str | bool
    unless: str
    """The ability that a newer one has (:func:`prebuild.toolchain.ck.abilities`)."""
    rule: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family's table of facts; ``families/*.toml`` says where each one is from."""

    name: str
    ck_header: str
    header: str
    template: str
    dtypes: tuple[tuple[str, str, str], ...]
    """(activation, weight, output) that the kernels exist for."""
    quants: tuple[str, ...]
    activations: tuple[str, ...]
    preshuffle: tuple[bool, ...]
    splitk: tuple[bool, ...]
    values_per_element: int
    """Values of K in one stored element of the activations: 2 for fp4x2, else 1."""
    prefetch_stages: Mapping[str, int]
    """Pipeline -> CK's main loop runs where there are more K steps than this."""
    tails: Mapping[str, Literal["parity", "full"]]
    """Pipeline -> one kernel for odd and one for even K steps, or one for both."""
    kernels: Mapping[str, str]
    element_ops: Mapping[str, str]
    unavailable: tuple[Unavailable, ...]
    instances: tuple[InstanceFacts, ...]

    def element_op(self, stage: Stage, *, splitk: bool) -> str:
        """AITER's element operation of a stage; with split K stage 1 can have one of its own."""
        name = f"stage{stage}"
        return self.element_ops.get(f"{name}_splitk" if splitk else name, self.element_ops[name])

    def variants(self, tile: Tile) -> tuple[Variant, ...]:
        """All kernels of an instance with ``tile``."""
        full = self.tails[tile.version] == "full"
        tails: tuple[Tail, ...] = ("full",) if full else ("odd", "even")
        return tuple((main, tail) for main in (True, False) for tail in tails)


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Something that is not built: which rule says so, and why."""

    what: str
    rule: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PlannedKernel:
    """One kernel of an instance, and the shapes that need it."""

    id: str
    """File stem and symbol stem, unique for (instance, main loop, tail)."""
    main_loop: bool
    tail: Tail
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlannedInstance:
    """An instance of a module: built where ``kernels`` is not empty, else known but left out."""

    facts: Instance
    """What AITER's choice knows of it, and the manifest says; the kernels come when it is built."""
    family: Family
    tile: Tile
    features: ModuleKey
    kernels: tuple[PlannedKernel, ...]
    why: tuple[str, ...]
    excluded: tuple[Exclusion, ...]

    @property
    def name(self) -> str:
        """AITER's name of it."""
        return self.facts.name

    @property
    def stage(self) -> Stage:
        """The stage that it is for."""
        return self.facts.stage

    @property
    def reached_by(self) -> tuple[Reach, ...]:
        """The conditions under which AITER's heuristic takes it."""
        return self.facts.reached_by

    @property
    def built(self) -> bool:
        """Whether the module holds at least one of its kernels."""
        return bool(self.kernels)


@dataclass(frozen=True, kw_only=True)
class PlannedModule:
    """One shared object to build."""

    name: str
    stock_name: str
    key: str
    coverage: Coverage
    features: ModuleKey
    family: Family
    instances: tuple[PlannedInstance, ...]
    recipes: tuple[str, ...]
    contracts: tuple[Generation, ...]
    """Those that its code meets; it is generated from the first."""

    @property
    def built(self) -> tuple[PlannedInstance, ...]:
        """The instances that are compiled."""
        return tuple(instance for instance in self.instances if instance.built)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a build will make, complete before anything runs."""

    modules: tuple[PlannedModule, ...]
    recipes: Mapping[str, str]
    """Recipe name -> sha256 of its normalised content."""
    exclusions: tuple[Exclusion, ...]
