"""Which row answers, as each generation looks it up."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.choice import lookup
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.choice.tuned import FALLBACK
from aiter_prebuilt.generations import load
from tests.unit.aiter_prebuilt import samples
from tests.unit.aiter_prebuilt.choice.test_tuned import CELLS

NEWEST = load().newest.name
FIRST = "v0.1.10.post2"


def write(path: Path, *rows: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys([*CELLS, *(column for row in rows for column in row)]))
    lines = [",".join(columns)]
    lines += [",".join({**CELLS, **row}.get(column, "") for column in columns) for row in rows]
    path.write_text("\n".join(lines))
    return path


def look(
    *paths: Path,
    release: str = NEWEST,
    features: ModuleKey = samples.FEATURES,
    tokens: int = 64,
    cu_count: int = 256,
    flydsl: bool = False,
) -> lookup.Found | None:
    generation = load().generations[release]
    rules = Rules(generation=generation, flydsl=flydsl, cu_count=cu_count)
    tables = lookup.read(paths, generation, cu_count)
    return lookup.find(tables, features, samples.SHAPE, tokens, rules)


def hit(*paths: Path, release: str, features: ModuleKey = samples.FEATURES) -> tuple[bool, bool]:
    """Whether a row is taken, and whether there is one: else AITER tunes where it is asked to."""
    generation = load().generations[release]
    rules = Rules(generation=generation, flydsl=False, cu_count=256)
    tables = lookup.read(paths, generation, 256)
    looked = lookup.look(tables, features, samples.SHAPE, 64, rules)
    assert looked.problem == tables.problem
    return looked.found is not None, looked.hit


def block_m(*paths: Path, **asked: Any) -> int | None:
    found = look(*paths, **asked)
    return found.row.block_m if found else None


def with_features(**changes: Any) -> ModuleKey:
    return dataclasses.replace(samples.FEATURES, **changes)


def test_a_row_may_be_there_and_not_be_taken(tmp_path: Path) -> None:
    flydsl = write(tmp_path / "t.csv", {"kernelName1": "flydsl_x"})
    assert hit(flydsl, release="v0.1.15") == (False, True)  # nothing stands in for FlyDSL
    assert hit(flydsl, release=NEWEST) == (True, True)
    assert hit(tmp_path / "none.csv", release=NEWEST) == (False, False)
    fp8 = {"q_dtype_a": "torch.float8_e4m3fn", "q_dtype_w": "torch.float8_e4m3fn"}
    few = write(tmp_path / "f.csv", {**fp8, "q_type": "QuantType.per_1x128", "topk": "2"})
    blocks = with_features(a_dtype="f8", b_dtype="f8", quant="per_1x128")
    shape = dataclasses.replace(samples.SHAPE, topk=2)
    generation = load().generations[FIRST]
    rules = Rules(generation=generation, flydsl=False, cu_count=256)
    tables = lookup.read((few,), generation, 256)
    assert lookup.look(tables, blocks, shape, 64, rules).hit is False, "v0.1.10 passes it by"


def test_aiters_own_tables_and_their_order(tmp_path: Path) -> None:
    names = ["tuned_fmoe.csv", "model_configs/b_tuned_fmoe.csv", "model_configs/a_tuned_fmoe_x.csv"]
    for name in [*names, "model_configs/a_untuned_fmoe.csv"]:
        write(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in lookup.installed(tmp_path)]
    assert found == [names[0], names[2], names[1]]


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", {})
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"\xff\xfe\x00")
    gone = tmp_path / "gone.csv"
    generation = load().newest
    assert lookup.read((good, bad, gone), generation, 256).problem == ""
    problem = lookup.read((gone, bad), generation, 256).problem
    assert "gone.csv: No such file" in problem
    assert "bad.csv" in problem
    assert block_m(good, bad, gone) == 64


def test_a_row_that_is_not_understood_is_none(tmp_path: Path) -> None:
    assert look(write(tmp_path / "t.csv", {"topk": "many"})) is None


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", {"block_m": "64"})
    path.write_text("\ufeff" + path.read_text())
    assert block_m(path) == 64


def test_of_equal_rows_the_fastest_counts_where_tables_are_merged(tmp_path: Path) -> None:
    slow, fast = {"us": "50", "block_m": "128"}, {"us": "20", "block_m": "32"}
    one = write(tmp_path / "one.csv", slow, fast)
    other = write(tmp_path / "other.csv", {"us": "10", "block_m": "16"})
    assert block_m(one) == 128  # AITER keeps the first of one file
    assert block_m(one, other) == 16


@pytest.mark.parametrize(
    "changes",
    [
        {"cu_num": "80"},
        {"_tag": FALLBACK},
        {"q_dtype_w": "torch.int8"},
        {"doweight_stage1": "1"},
        {"use_g1u1": "0"},
        {"inter_dim": "512"},
        {"q_type": "QuantType.per_1x128"},
    ],
)
@pytest.mark.parametrize("release", ["v0.1.11", "v0.1.15", NEWEST])
def test_rows_for_something_else_do_not_count(
    tmp_path: Path, release: str, changes: dict[str, str]
) -> None:
    assert look(write(tmp_path / "t.csv", changes), release=release) is None


def test_per_128x128_is_looked_up_as_per_1x128(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", {"q_type": "QuantType.per_1x128"})
    assert block_m(table, features=with_features(quant="per_128x128")) == 64


@pytest.mark.parametrize(
    ("release", "own", "other"), [(FIRST, 64, None), ("v0.1.15", 128, 128), ("v0.1.18", 64, 128)]
)
def test_whose_activation_counts(tmp_path: Path, release: str, own: int, other: int | None) -> None:
    """Exactly the call's; anybody's, the first; the call's and then anybody's."""
    gelu = {"act_type": "ActivationType.Gelu", "block_m": "128"}
    table = write(tmp_path / "t.csv", gelu, {})
    assert block_m(table, release=release) == own
    swiglu = with_features(activation="swiglu", b_dtype="f8", a_dtype="f8")
    f8 = dict.fromkeys(("q_dtype_a", "q_dtype_w"), "torch.float8_e4m3fn")
    table = write(tmp_path / "u.csv", {**gelu, **f8}, f8)
    assert block_m(table, release=release, features=swiglu) == other


@pytest.mark.parametrize(
    ("release", "gfx", "cu_num", "expected"),
    [
        (NEWEST, "gfx1250", "256", None),
        (NEWEST, "gfx950", "256", 64),
        (NEWEST, "0", "256", 64),
        (NEWEST, "", "80", None),  # AITER takes 80 compute units for gfx942
        (NEWEST, "", "128", 64),  # and any other number for the GPU at hand
        ("v0.1.15", "gfx1250", "256", 64),
        ("v0.1.15", "", "80", 64),
    ],
)
def test_the_gfx_column(
    tmp_path: Path, release: str, gfx: str, cu_num: str, expected: int | None
) -> None:
    table = write(tmp_path / "t.csv", {"gfx": gfx, "cu_num": cu_num})
    assert block_m(table, release=release, cu_count=int(cu_num)) == expected


@pytest.mark.parametrize(
    ("release", "tag", "expected"),
    [
        (FIRST, "exact", 64), (FIRST, FALLBACK, 64),
        ("v0.1.15", "exact", None), ("v0.1.15", FALLBACK, None),
        (NEWEST, "exact", 64), (NEWEST, FALLBACK, None),
    ],
)  # fmt: skip
def test_tags(tmp_path: Path, release: str, tag: str, expected: int | None) -> None:
    assert block_m(write(tmp_path / "t.csv", {"_tag": tag}), release=release) == expected


@pytest.mark.parametrize(
    ("release", "silu", "gelu"),
    [(FIRST, 64, None), ("v0.1.11", 32, None), ("v0.1.15", 32, 32), (NEWEST, 64, 64)],
)
def test_rows_of_flydsl_where_it_is_missing(
    tmp_path: Path, release: str, silu: int, gelu: int | None
) -> None:
    """Taken as they are; replaced by the same activation's row; by any activation's."""
    flydsl = {"kernelName2": "flydsl_x"}
    stand_in = {"_tag": FALLBACK, "block_m": "32"}
    if release == FIRST:
        stand_in |= {"inter_dim": "1"}  # that AITER knows no tags: it would be a second row
    table = write(tmp_path / "t.csv", flydsl, stand_in)
    assert block_m(table, release=release) == silu
    assert block_m(table, release=release, features=with_features(activation="gelu")) == gelu
    if release != FIRST:
        assert block_m(table, release=release, flydsl=True) == 64
    alone = write(tmp_path / "alone.csv", flydsl)
    assert block_m(alone, release=release) == (64 if release in (FIRST, NEWEST) else None)


@pytest.mark.parametrize(
    ("release", "tokens", "expected"),
    [
        (NEWEST, 200_000, 64),
        (NEWEST, 40_000, 64),
        (NEWEST, 16_384, None),
        ("v0.1.13", 200_000, 64),  # one tier: the highest
        ("v0.1.11", 200_000, None),  # tiers of 16384 and below
    ],
)
def test_many_tokens_take_the_row_of_a_lower_tier(
    tmp_path: Path, release: str, tokens: int, expected: int | None
) -> None:
    table = write(tmp_path / "t.csv", {"token": "32768"})
    assert block_m(table, release=release, tokens=tokens) == expected


def test_tokens_are_padded_before(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", {})
    assert [block_m(table, tokens=count) for count in (32, 33, 64, 65)] == [None, 64, 64, None]


@pytest.mark.parametrize(("release", "expected"), [("v0.1.12", None), ("v0.1.13", 64)])
def test_few_tokens_of_block_scales(tmp_path: Path, release: str, expected: int | None) -> None:
    f8 = dict.fromkeys(("q_dtype_a", "q_dtype_w"), "torch.float8_e4m3fn")
    rows = [{**f8, "q_type": "QuantType.per_1x128", "token": count} for count in ("16", "32")]
    table = write(tmp_path / "t.csv", *rows)
    block = with_features(a_dtype="f8", b_dtype="f8", quant="per_1x128")
    assert block_m(table, release=release, features=block, tokens=16) == expected
    assert block_m(table, release=release, features=block, tokens=32) == 64


def test_swiglu_is_looked_up_with_the_operands_that_aiter_gives_it(tmp_path: Path) -> None:
    wide = {"act_type": "ActivationType.Swiglu", "q_dtype_a": "torch.bfloat16", "block_m": "32"}
    narrow = {"act_type": "ActivationType.Swiglu", "token": "256"}
    table = write(tmp_path / "t.csv", wide, narrow)
    swiglu = with_features(activation="swiglu")
    assert block_m(table, features=swiglu, tokens=64) == 32
    assert block_m(table, features=swiglu, tokens=256) == 64
