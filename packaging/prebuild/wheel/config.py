"""The backend's ``-C`` settings as a value, checked all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from aiter_prebuilt.digits import NUMBER
from prebuild.core.errors import ProblemsError
from prebuild.core.project import Project
from prebuild.recipe.recipes import Coverage, Recipe, find_recipes, load_recipes, narrow

_COVERAGES = ("full", "deployed")
VerifyMode = Literal["stop", "report", "off"]
_VERIFY_MODES = get_args(VerifyMode)
_KEYS = ("recipe", "tp", "block-m", "coverage", "launcher", "verify")


class ConfigSettingsError(ProblemsError):
    """``-C`` settings that mean nothing; holds every one of them."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class WheelConfig:
    """What a wheel is built of; nothing given means every recipe as it is."""

    recipes: tuple[str, ...] = ()
    tp: tuple[int, ...] = ()
    block_m: tuple[int, ...] = ()
    coverage: Coverage | None = None
    launcher: str | None = None
    verify: VerifyMode = "stop"
    """Run every kernel before packing: a wrong one stops the wheel, or is only reported."""


def parse_config(settings: Mapping[str, Any]) -> WheelConfig:
    """Read ``recipe``, ``tp``, ``block-m`` (several with commas) and the single-valued keys.

    Raises :class:`ConfigSettingsError` naming every unknown key and every wrong value.
    """
    problems = [
        f"{key}: unknown; there are {', '.join(_KEYS)}"
        for key in sorted(set(settings) - set(_KEYS))
    ]
    coverage = settings.get("coverage")
    if coverage is not None and coverage not in _COVERAGES:
        problems.append(f"coverage is {coverage!r}; allowed are {', '.join(_COVERAGES)}")
    verify = settings.get("verify", "stop")
    if verify not in _VERIFY_MODES:
        problems.append(f"verify is {verify!r}; allowed are {', '.join(_VERIFY_MODES)}")
    tp = _numbers("tp", settings, problems)
    block_m = _numbers("block-m", settings, problems)
    if problems:
        raise ConfigSettingsError("the wheel cannot be built from these settings:", problems)
    return WheelConfig(
        recipes=tuple(_items(settings.get("recipe"))),
        tp=tp,
        block_m=block_m,
        coverage=cast("Coverage | None", coverage),
        launcher=settings.get("launcher"),
        verify=cast("VerifyMode", verify),
    )


def configured_recipes(config: WheelConfig, project: Project) -> tuple[Recipe, ...]:
    """The recipes that ``config`` names, narrowed as it says.

    Raises :class:`~prebuild.recipe.recipes.RecipeError` with every problem.
    """
    recipes = load_recipes(find_recipes(config.recipes, project.recipes))
    return tuple(
        narrow(recipe, tp=config.tp, block_m=config.block_m, coverage=config.coverage)
        for recipe in recipes
    )


def _items(given: Any) -> list[str]:  # noqa: ANN401  a front end passes a text or a list of them
    texts = [given] if isinstance(given, str) else list(given or [])
    return [part for text in texts for part in text.split(",") if part]


def _numbers(key: str, settings: Mapping[str, Any], problems: list[str]) -> tuple[int, ...]:
    items = _items(settings.get(key))
    wrong = [item for item in items if not NUMBER.fullmatch(item)]
    problems += [f"{key} is {item!r}; expected whole numbers, 1 or more" for item in wrong]
    return () if wrong else tuple(int(item) for item in items)
