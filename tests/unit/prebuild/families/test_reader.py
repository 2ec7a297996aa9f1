from __future__ import annotations

import dataclasses
import tomllib

import pytest
from pydantic import ValidationError

from aiter_prebuilt.call import ModuleKey
from prebuild.families.reader import find_table, parse_family
from tests.unit.prebuild.samples import PROJECT

TABLE = (PROJECT.root / "packaging/prebuild/families/a8w8_blockscale.toml").read_text()


def test_a_table_becomes_a_family() -> None:
    family = parse_family(TABLE)
    assert family.name == "a8w8_blockscale"
    ((rule, unless),) = [(entry.rule, entry.unless) for entry in family.unavailable]
    assert (rule, unless) == ("needs-newer-ck", "split-k")
    assert {facts.stage for facts in family.instances} == {1, 2}
    assert family.element_op(1, splitk=True).endswith("Splitk")
    assert not family.element_op(2, splitk=True).endswith("Splitk")


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("pipeline = 1", "pipeline = 2", "stage1.0.pipeline"),
        ("tile = [256, 16, 128, 256]", "tile = [256, 16, 128]", "stage1.0.tile"),
        ("block_m = 16 }", "block_m = 16, rows = 3 }", "reached_by.0.rows"),
        ("value = true\n", "worth = true\n", "unavailable.0.value"),
        ('unless = "split-k"\n', "", "unavailable.0.unless"),
        ('v1 = "parity"', 'v1 = "both"', "k.tails.v1"),
        ('template = "A8W8Blockscale"\n', "", "template"),
    ],
)
def test_a_wrong_table_names_the_key(old: str, new: str, path: str) -> None:
    assert old in TABLE
    with pytest.raises(ValidationError) as caught:
        parse_family(TABLE.replace(old, new, 1))
    assert any(path in ".".join(map(str, item["loc"])) for item in caught.value.errors())


INSTEAD = "instead = { tile = [256, 32, 128, 128], waves = [1, 4], pipeline = 3 }"
SHUFFLED = (PROJECT.root / "packaging/prebuild/families/a4w4_preshuffle.toml").read_text()


def test_wrong_kernels_belong_to_their_instance_alone() -> None:
    instances = parse_family(SHUFFLED).instances
    found = {(f.stage, f.tile.text, f.tile.pipeline): set(f.wrong) for f in instances if f.wrong}
    assert found == {
        (2, "64x32x32x128_1x1", 1): {(True, "even"), (True, "odd"), (False, "even")},
    }  # fmt: skip
    assert not any(facts.wrong for facts in parse_family(TABLE).instances)


def test_kernels_that_are_wrong_where_k_is_split_are_right_elsewhere() -> None:
    whole = ModuleKey(
        a_dtype="f8", b_dtype="f8", c_dtype="b16", preshuffle=True, activation="silu",
        quant="per_1x128", routed_weight_stage=2,
    )  # fmt: skip
    split = find_table(dataclasses.replace(whole, splitk=True))
    table = find_table(whole)
    assert table is not None
    assert split is not None
    assert not any(facts.wrong for facts in table.family.instances)
    wrong = [facts for facts in split.family.instances if facts.wrong]
    assert [(facts.stage, facts.tile.name) for facts in wrong] == [(1, "256x64x128x128_1x4_v3")]
    assert set(wrong[0].wrong) == {(True, "even"), (True, "odd"), (False, "even")}
    (named,) = [each for each in split.instances if split.facts(each) == wrong[0]]
    assert "Splitk_v3_" in named.name


def test_every_wrong_kernel_names_who_answers_its_calls() -> None:
    (facts,) = [f for f in parse_family(SHUFFLED).instances if f.wrong]
    answering = {wrong.instead.name for wrong in facts.wrong.values() if wrong.instead is not None}
    assert answering == {"256x32x128x128_1x4_v3"}
    assert all(wrong.instead is not None for wrong in facts.wrong.values())


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("stage = 2\n", "stage = 3\n", "wrong.0.stage", ""),
        ("stage = 2\n", "stage = 1\n", "", "wrong.0: stage 1 has no instance 64x32x32x128_1x1_v1"),
        ('"main_even",', '"main_last",', "wrong.0.kernels.0", ""),
        ('"main_even",', '"main_full",', "", "main_full is none of pipeline v1"),
        ('"main_even",', '"main_odd",', "", "a kernel stands there twice"),
        ('kernels = ["main_even", "main_odd", "nomain_even"]', "kernels = []", "kernels", ""),
        ("reason = ", "cause = ", "wrong.0.cause", ""),
        ("reason = ", "splitk = true\nreason = ", "", "K of stage 2 is never split"),
        (INSTEAD, INSTEAD.replace("256, 32", "256, 16"), "", "stage 2 has no instance 256x16x"),
        (INSTEAD, INSTEAD.replace("256, 32", "256, 64"), "", "takes blocks of 64 rows, not of 32"),
        (INSTEAD, INSTEAD.replace("128]", "96]"), "", "takes K in steps of 96, not of 128"),
        (
            INSTEAD,
            "instead = { tile = [64, 32, 32, 128], waves = [1, 1], pipeline = 1 }",
            "",
            "64x32x32x128_1x1_v1 has wrong kernels itself",
        ),
    ],
)
def test_a_wrong_kernel_that_is_not_there_is_an_error(
    old: str, new: str, path: str, message: str
) -> None:
    assert old in SHUFFLED
    with pytest.raises(ValidationError) as caught:
        parse_family(SHUFFLED.replace(old, new, 1))
    errors = caught.value.errors()
    assert any(path in ".".join(map(str, item["loc"])) for item in errors)
    assert any(message in item["msg"] for item in errors)


def test_no_rule_is_for_the_stage_whose_k_is_split() -> None:
    table = SHUFFLED.replace("splitk = [false]", "splitk = [false, true]")
    table = table.replace("stage = 2\n", "stage = 1\n")
    table = table.replace("waves = [1, 1]\npipeline = 1", "waves = [1, 1]\npipeline = 3", 1)
    with pytest.raises(ValidationError, match="of a split K a part decides which kernel runs"):
        parse_family(table)


def test_broken_toml_is_an_error() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        parse_family(TABLE.replace("[features]", "[features", 1))
