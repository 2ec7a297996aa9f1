"""A recipe from a model's own ``config.json``: the sizes are the model's, the rest a proposal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from aiter_prebuilt.choice.model import QUANTS, Model, ModelConfigError, read_model
from prebuild.recipe.recipes import Recipe, RecipeError, validated


def draft(
    path: Path, *, quant: str | None, tp: Sequence[int], ep: int = 1, fused: bool = False
) -> tuple[Recipe, tuple[str, ...]]:
    """Return a recipe of the model in ``path`` and what was left out of it, a line each.

    ``quant`` is a key of ``QUANTS``, None for what the configuration says.  A TP size that does not
    divide is left out.  Raises :class:`RecipeError` where nothing is left, or the quantisation is
    not known.
    """
    try:
        model = read_model(path)
        chosen = QUANTS.get(quant or model.quant or "")
        if chosen is None:
            known = ", ".join(QUANTS)
            problem = f"quantization_config does not tell the kind; name it: {known}"
            raise RecipeError(f"{path} cannot become a recipe:", [problem])
        dims, dropped = _inter_dims(model, tp, ep)
        whole = model.shape(ep=ep, fused=fused)
    except ModelConfigError as error:
        raise RecipeError("no recipe can be drafted:", [str(error)]) from error
    if not dims:
        raise RecipeError(f"{path} cannot become a recipe:", dropped)
    raw = {
        "schema": 1,
        "name": _name(f"{model.name}-{chosen.name}"),
        "model": model.name,
        "source": "its config.json",
        "hidden_size": whole.model_dim,
        "moe_inter_dim": dims,
        "experts": whole.experts,
        "top_k": whole.topk,
        "activation_dtype": chosen.a_dtype,
        "weight_dtype": chosen.b_dtype,
        "quant": chosen.quant,
        "activation": model.activation,
        "preshuffle": list(chosen.marks) if len(chosen.marks) > 1 else chosen.marks[0],
    }
    return validated(raw), (*dropped, *_not_fused(model, fused=fused))


def as_yaml(recipe: Recipe, comment: str) -> str:
    """Return a recipe's text, defaults left out, below a comment line."""
    content = recipe.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    content["moe_inter_dim"] = dict(recipe.moe_inter_dim)
    content = {"schema": 1, **{key: value for key, value in content.items() if key != "schema"}}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    return f"# {comment}\n{text}"


def _inter_dims(model: Model, tp: Sequence[int], ep: int) -> tuple[dict[int, int], list[str]]:
    dims: dict[int, int] = {}
    dropped = []
    for size in tp:
        try:
            dims[size] = model.shape(tp=size, ep=ep).inter_dim
        except ModelConfigError as error:
            dropped.append(f"TP {size} is left out: {error}")
    return dims, dropped


def _not_fused(model: Model, *, fused: bool) -> list[str]:
    if not model.shared or fused:
        return []
    text = "shared expert(s) are left out; where AITER runs them with the others, --fuse-shared"
    return [f"{model.shared} {text} takes them in"]


def _name(text: str) -> str:
    last = text.rstrip("/").rpartition("/")[2].lower()
    letters = (
        letter if letter.isascii() and (letter.isalnum() or letter in ".-") else "-"
        for letter in last
    )
    return "".join(letters).strip("-.")
