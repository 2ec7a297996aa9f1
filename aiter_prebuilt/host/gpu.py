"""Which GPUs this host has, without initialising one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from aiter_prebuilt.values import value_class

_TOPOLOGY = "class/kfd/kfd/topology/nodes"


@value_class(frozen=True, kw_only=True)
class GpuFacts:
    """The GPUs of this process, or of this host where nobody asked the driver yet."""

    source: Literal["torch", "kfd", "none", "image"]
    """``image``: taken for there, because an image is judged that runs elsewhere."""
    targets: tuple[str, ...]
    """One ``gfx…`` name a GPU, in order; empty where none was found."""


def gather(sysfs_root: str) -> GpuFacts:
    """Return the GPUs: torch's where it is already initialised, else the kernel driver's."""
    targets = _from_torch()
    if targets:
        return GpuFacts(source="torch", targets=targets)
    targets = from_topology(Path(sysfs_root))
    return GpuFacts(source="kfd" if targets else "none", targets=targets)


def compute_units(sysfs_root: Path) -> tuple[int, ...]:
    """Return the compute units of each GPU by the kernel driver; a partition counts as a GPU.

    A GPU whose node does not say how many it has is left out.
    """
    nodes = map(_properties, _nodes(sysfs_root))
    counts = (
        facts.get("simd_count", 0) // (facts.get("simd_per_cu", 0) or 1)
        for facts in nodes
        if facts.get("gfx_target_version", 0) > 0
    )
    return tuple(count for count in counts if count)


def from_topology(sysfs_root: Path) -> tuple[str, ...]:
    """Read the KFD topology (``gfx_target_version`` of each node; 0 is a CPU).

    A node that a container may not read is not one that it can use.
    """
    versions = (
        facts.get("gfx_target_version", 0) for facts in map(_properties, _nodes(sysfs_root))
    )
    return tuple(gfx_name(version) for version in versions if version > 0)


def gfx_name(version: int) -> str:
    """Return the name of a target version: 90500 is gfx950, 90010 is gfx90a, 110001 is gfx1101."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def _nodes(sysfs_root: Path) -> list[Path]:
    try:
        found = (sysfs_root / _TOPOLOGY).iterdir()
        return sorted(found, key=lambda node: (len(node.name), node.name))
    except OSError:
        return []


def _properties(node: Path) -> dict[str, int]:
    """The whole numbers that the driver tells of a node; none of one that cannot be read."""
    try:
        text = (node / "properties").read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(" ") for line in text.splitlines())
    return {key: int(value) for key, _, value in pairs if value.strip().isdigit()}


def left_visible(
    targets: tuple[str, ...], asked: Sequence[tuple[str, str]]
) -> tuple[str, ...] | None:
    """Return the GPUs that the variables ``asked`` (name and value) leave of the driver's list.

    ROCr's variable picks first, then HIP's picks of the rest (or CUDA's, where HIP's is not set); a
    number that is no GPU's ends a list.  None where that cannot be told: a UUID, an empty value,
    GPU_DEVICE_ORDINAL (of which ROCm's documents and its code say different things).
    """
    given = dict(asked)
    own = given.get("HIP_VISIBLE_DEVICES", given.get("CUDA_VISIBLE_DEVICES"))
    if "GPU_DEVICE_ORDINAL" in given:
        return None
    for value in (given.get("ROCR_VISIBLE_DEVICES"), own):
        picked = targets if value is None else _picked(targets, value)
        if picked is None:
            return None
        targets = picked
    return targets


def _picked(targets: tuple[str, ...], value: str) -> tuple[str, ...] | None:
    picked: list[str] = []
    for number in map(_number, value.split(",")):
        if number is None:
            return None
        if not 0 <= number < len(targets):
            break
        picked.append(targets[number])
    return tuple(picked)


def _number(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        return None


def _from_torch() -> tuple[str, ...]:
    torch: Any = sys.modules.get("torch")
    try:
        if torch is None or not torch.cuda.is_initialized():
            return ()
        names = [
            str(torch.cuda.get_device_properties(index).gcnArchName)
            for index in range(torch.cuda.device_count())
        ]
    except Exception:  # a torch without these is a torch that says nothing
        return ()
    return tuple(name.partition(":")[0] for name in names)


def counted(names: Sequence[str]) -> str:
    """Return each name once, with how often it stands there: ``8 x gfx950``."""
    counts = Counter(names)
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts.items())
