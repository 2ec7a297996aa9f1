from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiter_prebuilt.wheel import manifest as m
from tests.unit.aiter_prebuilt import samples

TEXT = m.dump(samples.manifest())

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        found += _paths(inner, (*path, key))
    return found


PATHS = [path for path in _paths(json.loads(TEXT)) if path]


def test_what_is_written_is_read() -> None:
    assert m.parse(TEXT) == samples.manifest()


def test_the_same_manifest_gives_the_same_bytes() -> None:
    assert m.dump(m.parse(TEXT)) == TEXT


@given(path=st.sampled_from(PATHS), value=JSON)
@settings(max_examples=1000)
def test_a_changed_value_is_read_truly_or_a_manifest_error(
    path: tuple[Any, ...], value: Any
) -> None:
    raw = json.loads(TEXT)
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        found = m.parse(json.dumps(raw))
    except m.ManifestError:
        return
    assert json.loads(m.dump(found)) == json.loads(json.dumps(raw)) or value != value  # noqa: PLR0124


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
@settings(max_examples=500)
def test_any_text_is_a_manifest_error(text: str) -> None:
    with pytest.raises(m.ManifestError):
        m.parse(text)


@given(st.integers(0, len(TEXT) - 2))
def test_a_cut_manifest_is_a_manifest_error(length: int) -> None:
    with pytest.raises(m.ManifestError):
        m.parse(TEXT[:length])


def test_deep_nesting_is_a_manifest_error() -> None:
    with pytest.raises(m.ManifestError):
        m.parse("[" * 100_000)


@pytest.mark.parametrize(
    "file",
    ["/etc/x.so", "../x.so", "a/../x.so", "a//x.so", "x", ".x.so", "a\\x.so", "x.so\n", "a/.so/x"],
)
def test_a_file_outside_the_package_is_a_manifest_error(file: str) -> None:
    text = m.dump(samples.manifest(samples.module(file=file)))
    with pytest.raises(m.ManifestError, match=r"modules\[0\].file"):
        m.parse(text)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sha256": "0" * 63}, "sha256"),
        ({"sha256": "G" * 64}, "sha256"),
        ({"name": "a b"}, "name"),
        ({"stock_name": "os.path"}, "stock_name"),
        ({"size": -1}, "size"),
        ({"coverage": "deployed"}, "coverage"),
    ],
)
def test_a_value_that_makes_no_sense_names_its_key(changes: dict[str, Any], what: str) -> None:
    text = m.dump(samples.manifest(samples.module(**changes)))
    with pytest.raises(m.ManifestError, match=what):
        m.parse(text)


def test_two_modules_of_one_name_are_a_manifest_error() -> None:
    with pytest.raises(m.ManifestError, match="twice"):
        m.parse(m.dump(samples.manifest(samples.module(), samples.module())))


def test_another_schema_is_named() -> None:
    with pytest.raises(m.ManifestError, match="schema is 3, this version reads 4: the modules"):
        m.parse(TEXT.replace('"schema": 4', '"schema": 3'))


@pytest.mark.parametrize(
    "changes",
    [
        {"contracts": ()},
        {"contracts": ("one", "another")},
        {"harvest": m.Harvest(aiter_version="1", aiter_sources="0" * 64, cpython=None, torch=None)},
    ],
)
def test_a_module_names_contracts_of_its_manifest_unless_it_is_harvested(
    changes: dict[str, Any],
) -> None:
    text = m.dump(samples.manifest(samples.module(**changes)))
    with pytest.raises(m.ManifestError, match=r"modules\[0\].contracts is"):
        m.parse(text)


def _with_rule(**answering: Any) -> str:
    rule = m.Instead(main_loop=True, tail="odd", instance="right", reason="it races")
    other = samples.instance(**{"name": "right", **answering})
    module = samples.module(instances=(samples.instance("wrong", instead=(rule,)), other))
    return m.dump(samples.manifest(module))


def test_who_answers_for_a_wrong_kernel_is_read() -> None:
    (module,) = m.parse(_with_rule()).modules
    assert [rule.instance for rule in module.instances[0].instead] == ["right"]
    assert json.loads(TEXT)["modules"][0]["instances"][0]["instead"] == []


@pytest.mark.parametrize("other", [{"name": "third"}, {"stage": 2}, {"block_m": 64}])
def test_who_answers_for_a_wrong_kernel_has_to_mean_the_same(other: dict[str, Any]) -> None:
    with pytest.raises(m.ManifestError, match="'right' answers calls of 'wrong', expected another"):
        m.parse(_with_rule(**other))


def test_a_second_full_module_has_a_name_of_its_own() -> None:
    other = samples.module(
        name=f"{samples.STOCK}__full_0", file="modules/two.so", key="two", contracts=("two",)
    )
    agreed = {"one": samples.contract(), "two": samples.contract(endings=("_",))}
    text = m.dump(samples.manifest(samples.module(), other, contracts=agreed))
    assert m.parse(text).modules[1] == other


@pytest.mark.parametrize(("splitk", "expected"), [(False, "_"), (True, "")])
def test_names_end_as_the_contract_says_where_they_are_not_split_k(
    splitk: bool, expected: str
) -> None:
    features = replace(samples.FEATURES, splitk=splitk)
    module = samples.module(features=features, stock_name=features.stock_name)
    assert samples.contract(endings=("_",)).names_of(module) == (features.stock_name + expected,)
