from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from prebuild.families.reader import parse_family
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


SHUFFLED = (PROJECT.root / "packaging/prebuild/families/a4w4_preshuffle.toml").read_text()


def test_wrong_kernels_belong_to_their_instance_alone() -> None:
    instances = parse_family(SHUFFLED).instances
    found = {(f.stage, f.tile.text, f.tile.pipeline): set(f.wrong) for f in instances if f.wrong}
    assert found == {
        (2, "64x32x32x128_1x1", 1): {(True, "even"), (True, "odd"), (False, "even")},
    }  # fmt: skip
    assert not any(facts.wrong for facts in parse_family(TABLE).instances)


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


def test_broken_toml_is_an_error() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        parse_family(TABLE.replace("[features]", "[features", 1))
