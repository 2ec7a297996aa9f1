"""The tables against the names and choices of AITER's own generator on gfx950."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from typing import Any

import pytest

from aiter_prebuilt.call import STAGES, Call, ModuleKey, Shape, Stage
from aiter_prebuilt.choice.dispatch import choose, variant_of
from aiter_prebuilt.target import load
from prebuild.core import identity
from prebuild.core.model import Family
from prebuild.families import find_family, find_table, load_families
from tests.unit.prebuild.samples import PROJECT

# What gemm_moe_ck2stages_common.py of ROCm/aiter e4048607 names, with gfx950 as the GPU.
NAMES = json.loads((PROJECT.root / "tests/data/ck2stages_names.json").read_text())


# The same for every variant: module -> number of instances, sha256 of their sorted names.
DIGESTS = json.loads((PROJECT.root / "tests/data/ck2stages_digests.json").read_text())


def key(**features: Any) -> ModuleKey:
    return ModuleKey(**features)


@pytest.mark.parametrize("facts", NAMES, ids=lambda facts: facts["module"])
def test_modules_and_instances_have_aiters_names(facts: dict[str, Any]) -> None:
    features = key(**facts["features"])
    family = find_family(features)
    assert family is not None
    assert features.stock_name == facts["module"]
    own = {identity.instance_name(family, features, i.stage, i.tile) for i in family.instances}
    assert sorted(own) == facts["instances"]


def variants(family: Family) -> list[ModuleKey]:
    """Every module that a family has kernels for."""
    grid = itertools.product(
        family.dtypes, family.quants, family.activations, family.preshuffle, family.splitk, STAGES
    )
    return [
        key(
            a_dtype=a, b_dtype=b, c_dtype=c, quant=quant, activation=activation,
            preshuffle=preshuffle, splitk=splitk, routed_weight_stage=stage,
        )
        for (a, b, c), quant, activation, preshuffle, splitk, stage in grid
    ]  # fmt: skip


@pytest.mark.parametrize("family", load_families().values(), ids=lambda family: family.name)
def test_every_variant_has_aiters_names(family: Family) -> None:
    """gelu, swiglu and f16, marked weights or not, routed weight in stage 1 or 2, split K."""
    for features in variants(family):
        own = sorted(
            identity.instance_name(family, features, i.stage, i.tile) for i in family.instances
        )
        digest = hashlib.sha256("\n".join(own).encode()).hexdigest()
        assert DIGESTS[features.stock_name] == [len(own), digest]


def test_no_variant_of_aiters_is_forgotten() -> None:
    found = [f.stock_name for one in load_families().values() for f in variants(one)]
    assert sorted(found) == sorted(DIGESTS)


# (stage, block_m, inter_dim) -> tile and pipeline, by hand from gen_instances.py.
W = "_1x4_v"
BLOCKSCALE = {
    (1, 16, 256): f"256x16x128x256{W}1",
    (1, 32, 256): f"256x32x128x128{W}1",
    (1, 64, 384): f"256x64x128x128{W}3",
    (1, 128, 256): None,
    (2, 16, 256): f"256x16x128x256{W}1",
    (2, 16, 512): f"256x16x128x256{W}1",
    (2, 16, 384): "128x16x128x128_1x2_v1",
    (2, 16, 128): "128x16x128x128_1x2_v1",
    (2, 32, 384): f"256x32x128x128{W}1",
    (2, 64, 384): f"256x64x128x128{W}3",
}
A8W8 = {
    (1, 16, 1024): None,
    (1, 32, 1024): f"256x32x64x128{W}1",
    (1, 64, 1024): f"256x64x64x128{W}1",
    (1, 128, 192): f"256x128x64x128{W}1",
    (1, 128, 193): f"256x128x128x128{W}3",
    (1, 256, 192): f"256x256x64x128{W}1",
    (1, 256, 384): f"256x256x128x128{W}3",
    (2, 32, 192): f"256x32x128x256{W}1",
    (2, 64, 1024): f"256x64x128x256{W}1",
    (2, 128, 1024): f"256x128x128x128{W}3",
    (2, 256, 1024): f"256x256x128x128{W}3",
}
A16W16 = {
    (1, 32, 1024): f"256x32x64x64{W}1",
    (1, 64, 192): f"256x64x64x64{W}1",
    (1, 128, 192): f"256x128x64x64{W}1",
    (1, 128, 256): f"256x128x128x64{W}3",
    (1, 256, 192): f"256x256x64x64{W}1",
    (1, 256, 256): f"256x256x128x64{W}3",
    (2, 32, 192): f"256x32x64x64{W}1",
    (2, 32, 193): f"256x32x128x128{W}1",
    (2, 64, 192): f"256x64x128x64{W}1",
    (2, 64, 384): f"256x64x128x128{W}1",
    (2, 128, 192): f"256x128x64x64{W}3",
    (2, 128, 384): f"256x128x128x64{W}3",
    (2, 256, 192): f"256x256x128x64{W}3",
    (2, 256, 384): f"256x256x128x64{W}3",
}
A8W4 = {
    (stage, block, dim): f"256x{block}x{n}x128{W}1"
    for stage, n in ((1, 64), (2, 128))
    for block in (32, 64, 128, 256)
    for dim in (128, 1024)
}
PLAIN = {
    (1, 32, 256): f"256x32x128x128{W}3",
    (1, 64, 1024): "256x64x64x128_2x2_v3",
    (1, 128, 1024): "256x128x64x128_2x2_v3",
    (2, 32, 256): "64x32x32x128_1x1_v1",
    (2, 64, 256): "64x64x64x128_1x1_v1",
    (2, 128, 256): "64x128x128x128_1x1_v1",
    (2, 32, 257): f"256x32x128x128{W}3",
    (2, 64, 512): "256x64x64x128_2x2_v3",
    (2, 128, 512): "256x128x64x128_2x2_v3",
    (2, 256, 512): None,
}
SHUFFLED = {
    (1, 32, 1024): "64x32x32x128_1x1_v3",
    (1, 64, 1024): f"256x64x128x128{W}3",
    (1, 128, 256): f"256x128x128x128{W}3",
    (2, 32, 256): "64x32x32x128_1x1_v1",
    (2, 64, 256): "64x64x128x128_1x1_v3",
    (2, 128, 256): "64x128x128x128_1x1_v3",
    (2, 32, 512): f"256x32x128x128{W}3",
    (2, 64, 512): f"256x64x128x128{W}3",
    (2, 128, 512): f"256x128x128x128{W}3",
    (2, 16, 512): None,
}
CHOICES = {
    "a8w8_blockscale": BLOCKSCALE,
    "a8w8": A8W8,
    "a16w16": A16W16,
    "a8w4": A8W4,
    "a4w4_plain": PLAIN,
    "a4w4_preshuffle": SHUFFLED,
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_heuristic_takes_what_aiters_takes(name: str) -> None:
    family = load_families()[name]
    found = {call: choice(family, *call) for call in CHOICES[name]}
    assert found == CHOICES[name]


def choice(family: Family, stage: Stage, block_m: int, inter_dim: int) -> str | None:
    table = find_table(variants(family)[0])
    assert table is not None
    shape = Shape(model_dim=4096, inter_dim=inter_dim, experts=64, topk=8)
    call = Call(features=variants(family)[0], shape=shape, stage=stage, tokens=64, block_m=block_m)
    instance = choose(table.instances, call).instance
    return table.facts(instance).tile.name if instance is not None else None


def test_every_family_is_in_the_tests() -> None:
    assert set(CHOICES) == set(load_families())


def test_no_two_families_claim_the_same_module() -> None:
    claimed = [
        (*dtypes, quant, activation, preshuffle, splitk)
        for family in load_families().values()
        for dtypes in family.dtypes
        for quant in family.quants
        for activation in family.activations
        for preshuffle in family.preshuffle
        for splitk in family.splitk
    ]
    assert len(claimed) == len(set(claimed))


@pytest.mark.parametrize("family", load_families().values(), ids=lambda family: family.name)
def test_a_table_is_whole(family: Family) -> None:
    pipelines = {f"v{facts.tile.pipeline}" for facts in family.instances}
    assert pipelines <= set(family.kernels)
    assert set(family.kernels) == set(family.prefetch_stages) == set(family.tails)
    assert {"stage1", "stage2"} <= set(family.element_ops)
    assert set(load().matrix_instructions) >= {dtypes[0] for dtypes in family.dtypes}
    assert (PROJECT.csrc / family.header).is_file()
    header = (PROJECT.csrc / family.header).read_text()
    assert re.search(rf"template <typename Spec>\n(struct|using) {family.template}\b", header)
    assert all(re.search(rf"^struct {op}\b", header, re.M) for op in family.element_ops.values())
    # 64 lanes a wave.
    assert all(facts.tile.m_waves * facts.tile.n_waves * 64 == facts.tile.block_size
               for facts in family.instances)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "pipeline", "k", "variant"),
    [
        ("a4w4_plain", 1, 256, (False, "full")),  # one step: v1 prefetches one
        ("a4w4_plain", 1, 512, (True, "full")),
        ("a4w4_plain", 3, 512, (False, "even")),
        ("a4w4_plain", 3, 768, (True, "odd")),
        ("a8w8_blockscale", 1, 512, (False, "even")),
        ("a16w16", 3, 192, (True, "odd")),
    ],
)
def test_the_kernel_of_a_k(name: str, pipeline: int, k: int, variant: tuple[bool, str]) -> None:
    table = find_table(variants(load_families()[name])[0])
    assert table is not None
    instance = next(
        each
        for each in table.instances
        if table.facts(each).tile.pipeline == pipeline and k % each.k_per_block == 0
    )
    if (name, k) == ("a8w8_blockscale", 512):
        assert instance.k_per_block == 256
    assert variant_of(instance, k) == variant
    assert variant in table.family.variants(table.facts(instance).tile)


def test_a_family_with_whole_tails_has_two_kernels_an_instance() -> None:
    family = load_families()["a4w4_plain"]
    counts = {facts.tile.pipeline: len(family.variants(facts.tile)) for facts in family.instances}
    assert counts == {1: 2, 3: 4}


@pytest.mark.parametrize("family", load_families().values(), ids=lambda family: family.name)
def test_no_call_is_covered_twice(family: Family) -> None:
    for stage in (1, 2):
        for block_m in (16, 32, 64, 128, 256):
            for inter_dim in range(1, 2050):
                covering = [
                    facts
                    for facts in family.instances
                    if facts.stage == stage
                    and any(reach.covers(block_m, inter_dim) for reach in facts.reached_by)
                ]
                assert len(covering) <= 1
