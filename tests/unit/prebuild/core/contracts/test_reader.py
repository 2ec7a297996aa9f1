from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import pytest
from pydantic import ValidationError

from aiter_prebuilt import generations
from aiter_prebuilt.host.aiter import parse_signature
from aiter_prebuilt.kinds import ACTIVATIONS, QUANTISATIONS
from prebuild.core import contracts
from prebuild.generate.sources import generate
from prebuild.pipeline.manifest import CPYTHON_FLOOR
from tests.unit.prebuild.samples import PROJECT, kimi_plan

REAL = contracts.find_contract("aiter-0.1.13")
TEXT = (files(contracts) / f"{REAL.name}.toml").read_text()


def test_the_signatures_are_what_aiter_can_parse() -> None:
    for function in REAL.functions:
        parsed = parse_signature(function.signature)
        assert [item.name for item in parsed] == [item.name for item in function.parameters]
        assert [item.default for item in parsed] == [item.default for item in function.parameters]
    assert [len(function.parameters) for function in REAL.functions] == [19, 19]
    assert REAL.function(2).name == "ck_moe_stage2"


def test_older_releases_differ_in_the_names_of_modules_alone() -> None:
    older = contracts.find_contract("aiter-0.1.10.post2")
    assert (older.ending, REAL.ending) == ("_", "")
    assert older == REAL.model_copy(update={"name": older.name, "ending": "_"})
    with pytest.raises(LookupError, match="there is no contract nobody"):
        contracts.parse_contract("new", 'like = "nobody"')


def test_each_generation_of_aiters_has_the_contract_of_its_names() -> None:
    endings = {"joined": "_", "plain": ""}
    found = {each.ending for each in contracts.load_contracts()}
    assert found == {endings[each.names] for each in generations.load().generations.values()}


def test_the_manifests_contract_says_the_same() -> None:
    made = REAL.contract
    assert made.signatures == {f.name: f.signature for f in REAL.functions}
    assert made.aliases == {"non_temporal_load": "use_non_temporal_load"}
    assert (made.quant_types["per_1x32"], made.activation_types["Gelu"]) == (3, 1)


def test_the_numbers_in_names_are_those_that_callers_pass() -> None:
    assert REAL.quants == {name: each.number for name, each in QUANTISATIONS.items()}
    assert REAL.activations == {name: each.number for name, each in ACTIVATIONS.items()}


def test_the_arguments_are_those_of_the_binding_in_its_order() -> None:
    header = (PROJECT.csrc / "contract.hpp").read_text()
    (body,) = re.findall(r"enum class Argument\n\{(.*?)\};", header, re.DOTALL)
    enumerators = re.findall(r"^\s*(k\w+),", body, re.MULTILINE)
    known = [
        contracts.Parameter(name="x", hint="int", argument=argument).enumerator
        for argument in (*contracts.ARGUMENTS, "ignored")
    ]
    assert enumerators == known


def test_the_stable_abis_floor_is_the_manifests() -> None:
    header = (PROJECT.csrc / "python.hpp").read_text()
    (limited,) = re.findall(r"#define Py_LIMITED_API (0x\w+)", header)
    assert f"{int(limited, 16) >> 24}.{int(limited, 16) >> 16 & 0xFF}" == CPYTHON_FLOOR
    others = [path for path in PROJECT.csrc.rglob("*.?pp") if path.name != "python.hpp"]
    assert not [path for path in others if "Py_LIMITED_API" in path.read_text()]


def test_a_modules_table_is_generated_from_its_contract() -> None:
    (module,) = (plan := kimi_plan(tp=[2])).modules
    text = generate(plan, PROJECT.templates)[PurePosixPath(module.name) / "module.cpp"]
    for function in REAL.functions:
        assert f'"{function.signature}\\n\\n"' in text
    row = '{"use_non_temporal_load", "non_temporal_load", Argument::kIgnored, false, 0},'
    assert text.count(row) == 2
    assert text.count('{"block_m", nullptr, Argument::kBlockM, false, 32},') == 2
    assert text.count('{"topk", nullptr, Argument::kTopK, true, 0},') == 2


def _parameters(raw: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = raw["functions"][0]["parameters"]
    return found


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda raw: _parameters(raw).pop(0), "activations stands there 0 times"),
        (lambda raw: _parameters(raw)[0].update(argument="w1"), "w1 stands there 2 times"),
        (lambda raw: _parameters(raw)[17].update(argument="colour"), "colour is none"),
        (lambda raw: _parameters(raw)[0].update(name="w1"), "name w1 stands there twice"),
        (lambda raw: _parameters(raw)[17].update(alias="w1"), "name w1 stands there twice"),
        (lambda raw: _parameters(raw)[0].update(default="None"), "without a default follows"),
        (lambda raw: _parameters(raw)[17].update(default="f()"), "is no Python literal"),
        (lambda raw: raw["functions"].reverse(), "one of stage 1, then one of stage 2"),
        (lambda raw: raw.update(colour=1), "colour"),
    ],
)
def test_what_is_wrong_with_a_contract_is_said(
    change: Callable[[dict[str, Any]], Any], what: str
) -> None:
    raw = tomllib.loads(TEXT)
    change(raw)
    with pytest.raises(ValidationError) as caught:
        contracts.Generation.model_validate({**raw, "name": "x"})
    assert what in str(caught.value)


def test_a_contract_of_no_file_is_an_error_that_names_those_there_are() -> None:
    assert contracts.find_contract(REAL.name) is REAL
    with pytest.raises(contracts.ContractError, match=re.escape(REAL.name)):
        contracts.find_contract("of another day")
