from __future__ import annotations

from typing import Any

import pytest

from prebuild.wheel.config import ConfigSettingsError, WheelConfig, parse_config


def test_nothing_given_means_every_recipe_as_it_is() -> None:
    assert parse_config({}) == WheelConfig()


@pytest.mark.parametrize("recipe", ["a,b", ["a", "b"], ["a,b"]])
def test_recipes_come_as_a_text_or_a_list(recipe: Any) -> None:
    config = parse_config({"recipe": recipe, "tp": "1,2", "block-m": "128", "coverage": "full"})
    assert config == WheelConfig(recipes=("a", "b"), tp=(1, 2), block_m=(128,), coverage="full")


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigSettingsError) as caught:
        parse_config(
            {
                "recipes": "a",
                "tp": "two,0",
                "coverage": "most",
                "block-m": "-1,\u00b2",
                "verify": "no",
            }
        )
    text = str(caught.value)
    parts = (
        "recipes: unknown",
        "'two'",
        "'0'",
        "coverage is 'most'",
        "verify is 'no'",
        "'-1'",
        "'\u00b2'",
    )
    for part in parts:
        assert part in text
    assert caught.value.exit_code == 2
