"""The values that cross from one stage to the next: frozen, keyword-only, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aiter_prebuilt.manifest import ModuleKey, Reach

Stage = Literal[1, 2]
Tail = Literal["odd", "even"]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """CK's block tile; K in bytes, the rest in rows, columns and threads."""

    block_size: int
    m: int
    n: int
    k_bytes: int
    m_waves: int
    n_waves: int
    pipeline: int

    @property
    def text(self) -> str:
        """``256x128x128x128_1x4``, as AITER writes it into instance names."""
        shape = f"{self.block_size}x{self.m}x{self.n}x{self.k_bytes}"
        return f"{shape}_{self.m_waves}x{self.n_waves}"


@dataclass(frozen=True, kw_only=True)
class InstanceFacts:
    """One row of a family's table."""

    stage: Stage
    tile: Tile
    reached_by: tuple[Reach, ...]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family's table of facts; ``families/*.toml`` says where each one is from."""

    name: str
    ck_header: str
    header: str
    template: str
    mfma: tuple[str, ...]
    a_dtypes: tuple[str, ...]
    b_dtypes: tuple[str, ...]
    c_dtypes: tuple[str, ...]
    quants: tuple[str, ...]
    activations: tuple[str, ...]
    preshuffle: tuple[bool, ...]
    splitk: tuple[bool, ...]
    values_per_byte: int
    prefetch_stages: Mapping[str, int]
    kernels: Mapping[str, str]
    element_ops: Mapping[str, str]
    instances: tuple[InstanceFacts, ...]

    def k_per_block(self, tile: Tile) -> int:
        """Values of K that one main-loop step of ``tile`` consumes."""
        return tile.k_bytes * self.values_per_byte


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

    name: str
    stage: Stage
    family: Family
    tile: Tile
    features: ModuleKey
    reached_by: tuple[Reach, ...]
    kernels: tuple[PlannedKernel, ...]
    why: tuple[str, ...]
    excluded: tuple[Exclusion, ...]

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
    coverage: Literal["full", "deployed"]
    features: ModuleKey
    family: Family
    instances: tuple[PlannedInstance, ...]
    recipes: tuple[str, ...]

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
