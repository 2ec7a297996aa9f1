"""The first reproduction: which instances a module of Kimi-K2.5-MXFP4 holds, and which it need not.

Pure: plans and renders, compiles nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from aiter_prebuilt.call import Call, Stage
from aiter_prebuilt.choice.dispatch import choose
from aiter_prebuilt.choice.heuristic import BLOCK_MS
from aiter_prebuilt.wheel.manifest import Deployment
from prebuild.core.model import Plan, PlannedModule
from prebuild.generate.sources import generate
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe, narrow

SCHEMA = 1
_STAGE: Stage = 2
SMALL = "gemm2_64x"
"""What the issue looks for in file names: stage 2 with one wave, for small inter_dim."""
SMALL_INTER_DIM = 256
"""Up to here AITER's dispatch takes them (ROCm/aiter 9bab8388, gen_instances.py)."""
HOLDS, FAILS = "holds", "does not hold"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The instance files of one module."""

    coverage: str
    module: str
    inter_dim: int
    files: tuple[tuple[str, int], ...]
    """(name, bytes), by name."""
    dispatch: tuple[tuple[int, str], ...]
    """(block_m, the stage-2 instance that AITER's heuristic takes at the recipe's inter_dim)."""

    @property
    def small(self) -> tuple[str, ...]:
        """Files that the issue's ``find`` lists."""
        return tuple(name for name, _ in self.files if SMALL in name)


def listings(recipe: Recipe, *, tp: int, templates: Path) -> tuple[Listing, Listing]:
    """Return the full module's listing and the deployed one's, for one tensor-parallel size."""
    plans = [
        make_plan([narrow(recipe, tp=[tp], coverage=coverage)]) for coverage in ("full", "deployed")
    ]
    (deployment,) = narrow(recipe, tp=[tp]).deployments(recipe.features()[0])
    full, deployed = (_listing(plan, deployment, templates) for plan in plans)
    return full, deployed


def as_json(found: tuple[Listing, Listing]) -> dict[str, Any]:
    """Return JSON values; ``schema`` rises when a reader would have to change."""
    return {
        "schema": SCHEMA,
        "modules": [
            {
                "coverage": listing.coverage,
                "module": listing.module,
                "instances": [{"file": name, "bytes": size} for name, size in listing.files],
                "small_inter_dim": list(listing.small),
                "stage2_dispatch": [
                    {"block_m": block_m, "instance": name} for block_m, name in listing.dispatch
                ],
            }
            for listing in found
        ],
        "criterion": verdict(found),
    }


def verdict(found: tuple[Listing, Listing]) -> str:
    """The issue's first criterion: no small file, and the same dispatch above inter_dim 256."""
    full, deployed = found
    if deployed.inter_dim <= SMALL_INTER_DIM:
        return "does not apply"
    return HOLDS if not deployed.small and deployed.dispatch == full.dispatch else FAILS


def as_text(found: tuple[Listing, Listing]) -> str:
    """Return what the issue's ``find ... -printf '%f %s bytes'`` prints, for both modules."""
    lines: list[str] = []
    for listing in found:
        lines.append(f"{listing.coverage}: {listing.module}")
        lines += [f"  {name} {size} bytes" for name, size in listing.files]
        lines.append(f"  {len(listing.files)} instances, {len(listing.small)} of them {SMALL}*")
        lines += [f"  block_m {block_m} -> {name}" for block_m, name in listing.dispatch]
    lines.append(f"criterion of issue 1 at inter_dim {found[1].inter_dim}: {verdict(found)}")
    return "\n".join(lines)


def _listing(plan: Plan, deployment: Deployment, templates: Path) -> Listing:
    (module,) = plan.modules
    sources = generate(plan, templates)
    folder = PurePosixPath(module.name) / "instances"
    return Listing(
        coverage=module.coverage,
        module=module.name,
        inter_dim=deployment.shape.inter_dim,
        files=tuple(
            sorted(
                (path.name, len(text.encode()))
                for path, text in sources.items()
                if path.parent == folder and path.suffix == ".hpp"
            )
        ),
        dispatch=tuple(_dispatch(module, deployment)),
    )


def _dispatch(module: PlannedModule, deployment: Deployment) -> list[tuple[int, str]]:
    table = [instance.facts for instance in module.instances]
    built = {instance.name for instance in module.built}
    found = []
    for block_m in BLOCK_MS:
        call = Call(
            features=module.features,
            shape=deployment.shape,
            stage=_STAGE,
            tokens=deployment.tokens_max,
            block_m=block_m,
        )
        instance = choose(table, call).instance
        if instance is not None:
            found.append(
                (block_m, instance.name if instance.name in built else "not in this module")
            )
    return found
