"""Small values that several test files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prebuild.model import Plan
from prebuild.plan import make_plan
from prebuild.project import Project
from prebuild.recipe import Recipe, find_recipes, load_recipes, narrow

PROJECT = Project.here()
STOCK = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"


def kimi(**narrowed: Any) -> Recipe:
    """The first recipe, narrowed."""
    (recipe,) = load_recipes(find_recipes(["kimi-k2.5-mxfp4"], PROJECT.recipes))
    return narrow(recipe, **narrowed)


def kimi_plan(**narrowed: Any) -> Plan:
    """The plan of the narrowed first recipe alone."""
    return make_plan([kimi(**narrowed)])


def write_recipe(path: Path, **changes: Any) -> Path:
    """Write a good recipe with some keys changed; None removes a key."""
    import yaml

    raw: dict[str, Any] = {
        "schema": 1,
        "name": "test",
        "model": "Test",
        "hidden_size": 7168,
        "moe_inter_dim": {2: 1024},
        "experts": 384,
        "top_k": 8,
        "activation_dtype": "fp4x2",
        "weight_dtype": "fp4x2",
        "quant": "per_1x32",
        "activation": "silu",
        **changes,
    }
    path.write_text(yaml.safe_dump({key: value for key, value in raw.items() if value is not None}))
    return path
