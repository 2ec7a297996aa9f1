from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from aiter_prebuilt.call import Call, Stage
from aiter_prebuilt.choice import dispatch
from aiter_prebuilt.wheel.manifest import Instead, Reach
from tests.unit.aiter_prebuilt import samples


def call(stage: Stage = 1, block_m: int = 32, name: str = "", **sizes: Any) -> Call:
    return Call(
        features=samples.FEATURES,
        shape=dataclasses.replace(samples.SHAPE, **sizes),
        stage=stage,
        tokens=64,
        block_m=block_m,
        kernel_name=name,
    )


def test_bounds_of_a_reach_are_inclusive() -> None:
    small = samples.instance("small", 2, reached_by=(Reach(block_m=32, inter_dim_max=256),))
    large = samples.instance("large", 2, reached_by=(Reach(block_m=32, inter_dim_min=257),))
    both = (large, small)
    assert dispatch.choose(both, call(2, inter_dim=256)).instance == small
    assert dispatch.choose(both, call(2, inter_dim=257)).instance == large
    for other in (call(2, 64), call(1)):
        found = dispatch.choose(both, other)
        assert (found.instance, found.variant) == (None, None)
        assert found.refusal is not None
        assert found.refusal.text == (f"AITER's module has no instance for block_m {other.block_m}")


def test_a_known_kernel_name_wins_and_an_unknown_one_does_not_count() -> None:
    named = samples.instance("named", reached_by=())
    usual = samples.instance("usual")
    both = (usual, named)
    found = dispatch.choose(both, call(name="named"))
    assert (found.instance, found.named, found.name_unknown) == (named, True, False)
    found = dispatch.choose(both, call(name="other"))
    assert (found.instance, found.named, found.name_unknown) == (usual, False, True)
    found = dispatch.choose(both, call())
    assert (found.instance, found.named, found.name_unknown) == (usual, False, False)
    # AITER looks a name up among those of both stages.
    assert dispatch.choose(both, call(2, name="named")).instance == named


NAME = "moe_ck2stages_gemm{}_256x32x128x128_1x4_Op_v3_Nswizzle0"


@pytest.mark.parametrize(
    ("stage", "model_dim", "inter_dim", "text"),
    [
        (1, 7168 + 128, 1024, "K = 7296 is not a multiple of 256 (stage 1, 256x32x128x128_1x4)"),
        (1, 7168, 64, "N = 64 is not a multiple of 128 (stage 1, 256x32x128x128_1x4)"),
        (2, 7168, 384, "K = 384 is not a multiple of 256 (stage 2, 256x32x128x128_1x4)"),
        (2, 7200, 512, "N = 7200 is not a multiple of 128 (stage 2, 256x32x128x128_1x4)"),
    ],
)
def test_what_ck_refuses_is_an_answer_with_its_numbers(
    stage: Stage, model_dim: int, inter_dim: int, text: str
) -> None:
    name = NAME.format(stage)
    table = (samples.instance(name, stage),)
    for each in ("", name):
        asked = call(stage, name=each, model_dim=model_dim, inter_dim=inter_dim)
        found = dispatch.choose(table, asked)
        assert found.instance == table[0]
        assert found.variant is None
        assert found.refusal is not None
        assert found.refusal.text == text


@pytest.mark.parametrize(
    ("k", "variant"),
    [(256, (False, "odd")), (512, (False, "even")), (768, (True, "odd")), (7168, (True, "even"))],
)
def test_the_kernel_of_k(k: int, variant: tuple[bool, str]) -> None:
    assert dispatch.variant_of(samples.instance(), k) == variant
    whole = samples.instance(tails="full")
    assert dispatch.variant_of(whole, k) == (variant[0], "full")


def split(parts: int, model_dim: int, name: str = "") -> dispatch.Choice:
    """What a call takes whose K is split; a step has 256 values."""
    features = dataclasses.replace(samples.FEATURES, splitk=True)
    asked = dataclasses.replace(call(model_dim=model_dim, name=name), features=features)
    table = (samples.instance(NAME.format(1), 1),)
    return dispatch.choose(table, dataclasses.replace(asked, parts=parts))


@pytest.mark.parametrize(
    ("parts", "model_dim", "variant"),
    [
        (14, 7168, (False, "even")),
        (7, 7168, (True, "even")),
        (4, 7168, (True, "odd")),
        (8, 6144, (True, "odd")),
    ],
)
def test_a_part_of_k_decides_the_kernel(
    parts: int, model_dim: int, variant: tuple[bool, str]
) -> None:
    found = split(parts, model_dim)
    assert (found.variant, found.refusal, found.fault) == (variant, None, "")


def test_parts_of_one_step_are_handed_on_with_a_way_out() -> None:
    found = split(16, 4096)
    assert (found.variant, found.refusal) == (None, None)
    assert found.fault.startswith("split K: 16 K steps of 256x32x128x128_1x4 in 16 parts")
    assert "AITER_KSPLIT=-1" in found.fault
    assert "gives 1 parts" in split(1, 4096, NAME.format(1)).fault


def test_parts_of_unequal_size_are_refused_as_aiter_refuses_them() -> None:
    found = split(3, 4096)
    assert found.refusal is not None
    assert found.refusal.text == (
        "K = 4096 is not a multiple of 768 (stage 1, 256x32x128x128_1x4, 3 parts)"
    )
    assert (found.variant, found.fault) == (None, "")


def test_stage_2_of_a_split_k_module_sums_all_of_k() -> None:
    features = dataclasses.replace(samples.FEATURES, splitk=True)
    asked = dataclasses.replace(call(2, inter_dim=256), features=features, parts=4)
    assert dispatch.choose((samples.instance(stage=2),), asked).variant == (False, "odd")


@pytest.mark.parametrize("k", [0, 255, 257])
def test_a_k_that_is_no_whole_number_of_steps_has_no_kernel(k: int) -> None:
    with pytest.raises(ValueError, match="expected a multiple of 256"):
        dispatch.variant_of(samples.instance(), k)


RACES = tuple(
    Instead(main_loop=main_loop, tail=tail, instance="right", reason="it races")
    for main_loop, tail in ((True, "odd"), (True, "even"), (False, "even"))
)  # fmt: skip
WRONG = samples.instance("wrong", 2, reached_by=(), n_per_block=32, instead=RACES)
RIGHT = samples.instance("right", 2, reached_by=())


@pytest.mark.parametrize("inter_dim", [512, 768, 1024])
def test_a_right_instance_answers_for_a_kernel_with_wrong_numbers(inter_dim: int) -> None:
    found = dispatch.choose((WRONG, RIGHT), call(2, name="wrong", inter_dim=inter_dim))
    assert found.instance == RIGHT
    assert found.named
    assert found.variant == dispatch.variant_of(RIGHT, inter_dim)
    assert found.replaced == dispatch.Replaced(instance=WRONG, reason="it races")
    assert found.replaced.text == "instead of wrong: it races"


@pytest.mark.parametrize(
    ("sizes", "refused"),
    [
        ({"inter_dim": 256}, None),  # this kernel is right
        ({"inter_dim": 512, "model_dim": 7200}, None),  # who answers divides by 128 alone
        ({"inter_dim": 384}, "K"),
        ({"inter_dim": 512, "model_dim": 7201}, "N"),
    ],
)
def test_nobody_answers_for_a_right_kernel_or_a_shape_beyond_his_tile(
    sizes: dict[str, int], refused: str | None
) -> None:
    found = dispatch.choose((WRONG, RIGHT), call(2, name="wrong", **sizes))
    assert found.instance == WRONG
    assert found.replaced is None
    assert (found.refusal and found.refusal.what) == refused


def test_a_kernel_that_was_not_built() -> None:
    instance = samples.instance(kernels=(samples.kernel(main_loop=True, tail="even"),))
    assert dispatch.built_kernel(instance, (True, "even")) == instance.kernels[0]
    assert dispatch.built_kernel(instance, (True, "odd")) is None


def test_short_names_of_instances_and_kernels() -> None:
    name = "moe_ck2stages_gemm1_64x32x32x128_1x1_MulABScaleShuffled_v3_Nswizzle0_Quant3_silu_B16"
    assert dispatch.short_name(name) == "gemm1_64x32x32x128_1x1_v3"
    assert dispatch.short_name(f"{name}.main_odd") == "gemm1_64x32x32x128_1x1_v3.main_odd"
    assert dispatch.short_name("binding.cpp") == "binding.cpp"
    assert dispatch.tile_of(name) == "64x32x32x128_1x1"
