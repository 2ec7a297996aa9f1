"""The one source of every name: modules, instances, kernels, symbols, keys.

AITER's own rules for names are those of ``aiter/ops/moe_op.py`` (modules) and
``gemm_moe_ck2stages_common.py`` (instances) at ``9bab8388`` and ``e4048607``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from aiter_prebuilt.call import ModuleKey, Stage, Tail
from aiter_prebuilt.kinds import QUANTISATIONS
from aiter_prebuilt.wheel.manifest import Coverage
from prebuild.core.model import Family, Tile


def mul_routed_weight(features: ModuleKey, stage: Stage) -> bool:
    """Whether the kernels of ``stage`` multiply by the routed weight."""
    return features.routed_weight_stage == stage


def instance_name(family: Family, features: ModuleKey, stage: Stage, tile: Tile) -> str:
    """Return AITER's name of an instance, which is also its ``kernelName``."""
    parts = [
        f"moe_ck2stages_gemm{stage}_{tile.text}",
        family.element_op(stage, splitk=features.splitk),
        tile.version,
        "Nswizzle0",
        f"Quant{QUANTISATIONS[features.quant].number}",
        f"MulRoutedWeight{int(mul_routed_weight(features, stage))}",
        *([features.activation] if stage == 1 else []),
        features.a_dtype.upper(),
        features.b_dtype.upper(),
        features.c_dtype.upper(),
    ]
    return "_".join(parts)


def kernel_id(instance: str, *, main_loop: bool, tail: Tail) -> str:
    """Return the stem of a kernel's source file: the instance and which of its four kernels."""
    return f"{instance}.{'main' if main_loop else 'nomain'}_{tail}"


def kernel_handle(kernel: str) -> str:
    """Return the host symbol that stands for a kernel between registrar and launcher."""
    return f"aiter_prebuilt_kernel_{short_hash(kernel)}"


def launch_symbol(instance: str) -> str:
    """Return the function that launches an instance."""
    return f"aiter_prebuilt_launch_{short_hash(instance)}"


def module_key(
    stock_name: str, kernels: Iterable[str], *, coverage: Coverage, contract: str = ""
) -> str:
    """Return the sha256 that tells modules apart: same key, same kernels under the same name.

    ``contract`` names the one whose callers a second module with these kernels is for.
    """
    content = {"stock": stock_name, "full": coverage == "full", "kernels": sorted(kernels)}
    content |= {"contract": contract} if contract else {}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def module_name(stock_name: str, key: str, *, coverage: Coverage, contract: str = "") -> str:
    """Return a module's own name: AITER's for a full one, else one that carries its key.

    Of two full modules for different contracts the second one carries its key, too.
    """
    own = coverage == "full" and not contract
    return stock_name if own else f"{stock_name}__{coverage}_{key[:8]}"


def short_hash(text: str) -> str:
    """Return 16 hex digits of sha256: short in symbols, and 2**64 is enough for names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
