"""Recipes: the production deployments that a wheel is built for, read from ``recipes/*.yaml``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aiter_prebuilt.call import ModuleKey, Shape
from aiter_prebuilt.wheel.manifest import Deployment
from prebuild.core.errors import ProblemsError, why

Positive = Annotated[int, Field(gt=0, le=2**31 - 1, strict=True)]
"""CK's and AITER's sizes are 32-bit; a number in quotes is a text, and a slip."""
Dtype = Literal["f16", "b16", "f8", "i8", "fp4x2", "i4"]
OutputDtype = Literal["f16", "b16"]
Quant = Literal["no", "per_tensor", "per_token", "per_1x32", "per_1x128"]
Activation = Literal["silu", "gelu", "swiglu"]
Coverage = Literal["full", "deployed"]


class RecipeError(ProblemsError):
    """One or more recipes cannot be used; holds every problem of every file."""

    exit_code = 3


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tokens(_Strict):
    """How many tokens a forward pass can hold, both ends included."""

    min: Positive = 1
    max: Positive = 131072

    @model_validator(mode="after")
    def _ordered(self) -> Tokens:
        if self.min > self.max:
            msg = f"min is {self.min}, more than max ({self.max}); expected min <= max"
            raise ValueError(msg)
        return self


class NamedKernel(_Strict):
    """A kernel that AITER's tuned tables name for this deployment (beyond its heuristic)."""

    stage: Literal[1, 2]
    tile: Annotated[str, Field(pattern=r"^\d+x\d+x\d+x\d+_\d+x\d+_v[13]$")]
    """``256x32x128x128_1x4_v3``: block size, M, N, K bytes, M and N waves, pipeline."""
    inter_dims: Annotated[tuple[Positive, ...], Field(min_length=1)]
    """The inter_dims (after tensor parallelism) whose rows name it."""


class Recipe(_Strict):
    """One deployment; a module is planned for each of its dtypes and its routed weight's stage."""

    version: Literal[1] = Field(1, alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    model: str
    """The model as its publisher names it."""
    source: str = ""
    """Where the shapes were read."""
    hidden_size: Positive
    """Elements of a token (AITER's model_dim): K of stage 1, N of stage 2."""
    moe_inter_dim: Annotated[dict[Positive, Positive], Field(min_length=1)]
    """Tensor-parallel size -> inter_dim of one expert on one GPU: N of stage 1, K of stage 2."""
    experts: Positive
    top_k: Positive
    activation_dtype: Dtype
    weight_dtype: Dtype
    output_dtypes: Annotated[tuple[OutputDtype, ...], Field(min_length=1)] = ("b16",)
    quant: Quant
    activation: Activation
    preshuffle: bool | Annotated[tuple[bool, ...], Field(min_length=1)] = True
    """Whether servers mark its weights as shuffled (``is_shuffled``); both, where some do not."""
    splitk: bool = False
    routed_weight_stage: Literal[1, 2] = 2
    tokens: Tokens = Tokens()
    block_m: tuple[Positive, ...] = ()
    """Only these rows of a block; empty for all that the token range reaches."""
    named_kernels: tuple[NamedKernel, ...] = ()
    coverage: Coverage = "deployed"

    @model_validator(mode="after")
    def _top_k_fits(self) -> Recipe:
        if self.top_k > self.experts:
            msg = f"top_k is {self.top_k}, more than experts ({self.experts})"
            raise ValueError(msg)
        return self

    def features(self) -> tuple[ModuleKey, ...]:
        """The call features of each module that the deployment needs."""
        return tuple(
            ModuleKey(
                a_dtype=self.activation_dtype,
                b_dtype=self.weight_dtype,
                c_dtype=output,
                preshuffle=preshuffle,
                activation=self.activation,
                quant=self.quant,
                routed_weight_stage=self.routed_weight_stage,
                splitk=self.splitk,
            )
            for output in self.output_dtypes
            for preshuffle in self._marks()
        )

    def deployments(self, features: ModuleKey) -> tuple[Deployment, ...]:
        """One module of the recipe at each tensor-parallel size, in AITER's words."""
        return tuple(
            Deployment(
                recipe=self.name,
                tp=tp,
                shape=Shape(
                    model_dim=self.hidden_size,
                    inter_dim=inter_dim,
                    experts=self.experts,
                    topk=self.top_k,
                ),
                tokens_min=self.tokens.min,
                tokens_max=self.tokens.max,
                features=features,
            )
            for tp, inter_dim in self.moe_inter_dim.items()
        )

    def takes_block_m(self, block_m: int) -> bool:
        """Whether kernels for this block_m are wanted."""
        return not self.block_m or block_m in self.block_m

    def _marks(self) -> tuple[bool, ...]:
        marks = self.preshuffle if isinstance(self.preshuffle, tuple) else (self.preshuffle,)
        return tuple(dict.fromkeys(marks))

    def digest(self) -> str:
        """sha256 of the normalised content: comments and order of keys do not count."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()


def load_recipes(paths: Sequence[Path]) -> tuple[Recipe, ...]:
    """Read recipes from YAML files, in the order given.

    Raises :class:`RecipeError` with every problem of every file: file, key path, what was found
    and what is allowed.
    """
    recipes: list[Recipe] = []
    problems: list[str] = []
    for path in paths:
        found, wrong = _load(path)
        problems += wrong
        recipes += found
    names = [recipe.name for recipe in recipes]
    problems += [f"two recipes are named {name}" for name in sorted(_repeated(names))]
    if problems:
        raise RecipeError("recipes cannot be used:", problems)
    return tuple(recipes)


def find_recipes(names: Sequence[str], directory: Path) -> tuple[Path, ...]:
    """Return the files of recipes given by name or by path; no name at all means all of them."""
    known = {path.stem: path for path in sorted(directory.glob("*.yaml"))}
    if not names:
        return tuple(known.values())
    paths = [Path(name) if name.endswith((".yaml", ".yml")) else known.get(name) for name in names]
    problems = [
        f"{name}: no such recipe; there are {', '.join(known) or 'none'}"
        for name, path in zip(names, paths, strict=True)
        if path is None
    ]
    if problems:
        raise RecipeError(f"recipes are not in {directory}:", problems)
    return tuple(path for path in paths if path is not None)


def narrow(
    recipe: Recipe,
    *,
    tp: Sequence[int] = (),
    block_m: Sequence[int] = (),
    coverage: Coverage | None = None,
) -> Recipe:
    """Return the recipe with fewer tensor-parallel sizes or block sizes, or another coverage.

    Raises :class:`RecipeError` where a size is not in the recipe.
    """
    missing = [size for size in tp if size not in recipe.moe_inter_dim]
    if missing:
        has = ", ".join(str(size) for size in recipe.moe_inter_dim)
        problems = [f"no moe_inter_dim for tensor-parallel size {size}" for size in missing]
        raise RecipeError(f"recipe {recipe.name} has sizes {has}:", problems)
    chosen = {size: dim for size, dim in recipe.moe_inter_dim.items() if not tp or size in tp}
    changes: dict[str, Any] = {"moe_inter_dim": chosen}
    if block_m:
        changes["block_m"] = tuple(block_m)
    if coverage is not None:
        changes["coverage"] = coverage
    return recipe.model_copy(update=changes)


def json_schema() -> dict[str, Any]:
    """The schema of a recipe file, for editors."""
    return Recipe.model_json_schema(by_alias=True)


def _load(path: Path) -> tuple[list[Recipe], list[str]]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506  a safe loader
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{path}: cannot be read: {why(error)}"]
    except (yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError) as error:
        # PyYAML's own constructors raise the plain ones: a 30th of February, a list as a key.
        return [], [f"{path}: is not YAML: {' '.join(str(error).split())}"]
    if not isinstance(raw, dict):
        return [], [f"{path}: holds {type(raw).__name__}, expected a mapping of keys"]
    try:
        return [validated(raw)], []
    except RecipeError as error:
        return [], [f"{path}: {problem}" for problem in error.problems]


def validated(raw: Any) -> Recipe:  # noqa: ANN401  whatever a file or a draft holds
    """Return a recipe of plain values; raises :class:`RecipeError` with every problem."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError("this is no recipe:", list(_explain(error))) from error


class _UniqueKeys(yaml.SafeLoader):
    """YAML's rule that the keys of a mapping differ; PyYAML lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping; raises where a key stands there twice."""
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                problem = f"the key {name!r} stands there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _explain(error: ValidationError) -> Iterable[str]:
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"] if part != "[key]") or "(whole file)"
        if item["type"] == "extra_forbidden":
            allowed = ", ".join(sorted(json_schema()["properties"]))
            yield f"{key}: unknown key; allowed at the top level: {allowed}"
        elif item["type"] == "missing":
            yield f"{key}: missing"
        else:
            yield f"{key}: found {item['input']!r}: {item['msg']}"


def _repeated(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}
