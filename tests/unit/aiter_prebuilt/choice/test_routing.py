"""The back ends of a batch: rule by rule, by brute force, and as AITER itself answered.

``tests/data/aiter_choices.json`` holds what the Python side of AITER answered at a release of each
generation (fused_moe up to the choice of kernels, on a CPU): shapes, token counts and answers are
facts of ours, nothing in it is AITER's text.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiter_prebuilt.call import ModuleKey, Shape
from aiter_prebuilt.choice import routing
from aiter_prebuilt.choice.heuristic import padded_tokens
from aiter_prebuilt.choice.routing import Route, route
from aiter_prebuilt.choice.rules import Rules, every_rules
from aiter_prebuilt.choice.tuned import Row
from aiter_prebuilt.generations import load
from tests.unit.aiter_prebuilt.choice.test_heuristic import shapes

CHOICES = Path(__file__).parents[3] / "data" / "aiter_choices.json"
SHAPE: dict[str, Any] = {"model_dim": 7168, "inter_dim": 512, "experts": 256, "topk": 8}
NEWEST = load().newest.name


def key(a: str, b: str, c: str, quant: str, **changes: Any) -> ModuleKey:
    features: dict[str, Any] = {
        "a_dtype": a,
        "b_dtype": b,
        "c_dtype": c,
        "quant": quant,
        "preshuffle": True,
        "activation": "silu",
        "routed_weight_stage": 2,
        **changes,
    }
    return ModuleKey(**features)


MXFP4 = ("fp4x2", "fp4x2", "b16", "per_1x32")
BLOCKSCALE = ("f8", "f8", "b16", "per_1x128")
PER_TOKEN = ("f8", "f8", "b16", "per_token")


def rules(release: str = NEWEST, *, flydsl: bool = True, **changes: Any) -> Rules:
    return Rules(generation=load().generations[release], flydsl=flydsl, cu_count=256, **changes)


def ask(features: ModuleKey, tokens: int, asked: Rules | None = None, **sizes: int) -> Route:
    return route(features, Shape(**{**SHAPE, **sizes}), tokens, asked or rules())


def row(**changes: Any) -> Row:
    values: dict[str, Any] = {
        "tokens": 64, "shape": Shape(**SHAPE), "act_type": "ActivationType.Silu",
        "dtype": "torch.bfloat16", "q_dtype_a": "", "q_dtype_w": "", "q_type": "QuantType.No",
        "use_g1u1": True, "doweight_stage1": False, "cu_num": 256, "gfx": "", "block_m": 64,
        "split_k": 0, "kernel_1": "moe_ck2stages_a", "kernel_2": "moe_ck2stages_b",
        "one_stage": False, "tag": "", "us": 1.0, **changes,
    }  # fmt: skip
    return Row(**values)


@pytest.mark.parametrize(
    ("features", "tokens", "release", "flydsl", "sizes", "stages", "rule"),
    [
        (key(*MXFP4), 4096, "v0.1.15", True, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4), 4096, "v0.1.16", True, {}, "flydsl", "mxfp4-flydsl"),
        (key(*MXFP4), 4096, NEWEST, True, {}, "flydsl", "mxfp4-flydsl"),
        (key(*MXFP4), 4096, NEWEST, False, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4, preshuffle=False), 4096, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4, routed_weight_stage=1), 4096, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4), 1, "v0.1.15", True, {}, "cktile", "mxfp4-split-k"),
        (key(*MXFP4, activation="swiglu"), 64, "v0.1.13", True, {}, "cktile", "swiglu-mxfp4"),
        (key(*MXFP4, activation="swiglu"), 64, "v0.1.15", True, {}, "cktile", "swiglu-mxfp4"),
        (key(*MXFP4, activation="swiglu"), 256, "v0.1.15", True, {}, "flydsl", "mxfp4-flydsl"),
        (key(*MXFP4, activation="swiglu"), 256, "v0.1.15", False, {}, "ck2stages", "ck2stages"),
        (key(*MXFP4, activation="swiglu"), 256, NEWEST, False, {}, "cktile", "swiglu-mxfp4"),
        (key(*BLOCKSCALE), 32, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key(*BLOCKSCALE), 33, NEWEST, True, {}, "one-stage", "one-stage-assembly"),
        (key(*BLOCKSCALE), 33, NEWEST, True, {"inter_dim": 384}, "one-stage",
         "one-stage-assembly"),
        (key(*BLOCKSCALE), 33, "v0.1.11", True, {"inter_dim": 384}, "ck2stages", "ck2stages"),
        (key(*BLOCKSCALE, activation="gelu"), 33, "v0.1.11", True, {}, "ck2stages", "ck2stages"),
        (key(*BLOCKSCALE, activation="gelu"), 33, "v0.1.12", True, {}, "one-stage",
         "one-stage-assembly"),
        (key(*BLOCKSCALE), 33, NEWEST, True, {"inter_dim": 192}, "ck2stages", "ck2stages"),
        (key(*BLOCKSCALE, routed_weight_stage=1), 999, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key("f8", "f8", "f16", "per_1x128"), 999, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key(*PER_TOKEN), 16, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key(*PER_TOKEN), 17, NEWEST, True, {}, "one-stage", "one-stage-assembly"),
        (key(*PER_TOKEN), 999, "v0.1.11", True, {}, "ck2stages", "ck2stages"),
        (key(*PER_TOKEN), 1, "v0.1.11", True, {"inter_dim": 192}, "one-stage",
         "one-stage-assembly"),
        (key(*PER_TOKEN), 1, "v0.1.10.post2", True, {"inter_dim": 192}, "ck2stages", "ck2stages"),
        (key(*PER_TOKEN), 1, NEWEST, True, {"inter_dim": 192}, "one-stage", "one-stage-assembly"),
        (key(*PER_TOKEN, routed_weight_stage=1), 17, "v0.1.10.post2", True, {}, "one-stage",
         "one-stage-assembly"),
        (key(*PER_TOKEN, routed_weight_stage=1, activation="gelu"), 17, NEWEST, True, {},
         "ck2stages", "ck2stages"),
        (key("f8", "f8", "b16", "per_tensor"), 999, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key("b16", "b16", "b16", "no"), 999, NEWEST, True, {}, "ck2stages", "ck2stages"),
        (key("f8", "i4", "b16", "per_token"), 999, NEWEST, True, {}, "ck2stages", "ck2stages"),
    ],
)  # fmt: skip
def test_routes(
    features: ModuleKey, tokens: int, release: str, flydsl: bool, sizes: dict[str, int],
    stages: str, rule: str,
) -> None:  # fmt: skip
    found = ask(features, tokens, rules(release, flydsl=flydsl), **sizes)
    assert (found.backends, found.rule, found.by_row) == ((stages, stages), rule, False)


def test_int8_weights_take_assembly_first_and_ck_second() -> None:
    found = ask(key("i8", "i8", "b16", "per_token"), 64)
    assert found.backends == ("asm", "ck2stages")
    assert [call.stage for call in found.asked] == [2]


def test_variables_of_aiter() -> None:
    forced = ask(key(*MXFP4), 64, rules(flydsl_force=False))
    assert forced.backends == ("ck2stages", "ck2stages")
    assert ask(key(*MXFP4), 4096, rules(flydsl=False, ksplit=2)).rule == "mxfp4-split-k"
    assert ask(key(*MXFP4), 1, rules(flydsl=False, ksplit=-1)).rule == "ck2stages"
    split = ask(key(*BLOCKSCALE), 16, rules(ksplit=4))
    assert [call.features.splitk for call in split.calls] == [True, False]
    wide = ask(key(*MXFP4, activation="swiglu"), 500, rules(swiglu_bound=512))
    assert (wide.rule, wide.calls[0].features.a_dtype) == ("swiglu-mxfp4", "b16")


def test_a_row_gives_block_size_and_names() -> None:
    found = route(key("b16", "b16", "b16", "no"), Shape(**SHAPE), 64, rules(), row())
    assert (found.backends, found.by_row) == (("ck2stages", "ck2stages"), True)
    assert [(call.block_m, call.kernel_name) for call in found.calls] == [
        (64, "moe_ck2stages_a"),
        (64, "moe_ck2stages_b"),
    ]
    without = rules(bypass=True)
    found = route(key("b16", "b16", "b16", "no"), Shape(**SHAPE), 64, without, row())
    assert (found.by_row, found.calls[0].kernel_name) == (False, "")


@pytest.mark.parametrize(
    ("release", "flydsl", "changes", "backends", "fault"),
    [
        (NEWEST, True, {"one_stage": True, "kernel_1": "_ZN5aiter1x"}, "one-stage one-stage", ""),
        ("v0.1.12", True, {"kernel_1": "flydsl_x"}, "flydsl ck2stages", ""),
        ("v0.1.12", True, {"kernel_2": "flydsl_x"}, "ck2stages flydsl", ""),
        ("v0.1.11", True, {"kernel_2": "flydsl_x"}, "ck2stages flydsl", ""),
        ("v0.1.10.post2", True, {"kernel_2": "flydsl_x"}, "ck2stages ck2stages", ""),
        (NEWEST, False, {"kernel_2": "flydsl_x"}, "ck2stages ck2stages", ""),
        (NEWEST, False, {"kernel_1": "flydsl_x"}, "asm ck2stages", "no kernel flydsl_x"),
        (NEWEST, True, {"kernel_1": "opus_moe1_x"}, "opus ck2stages", ""),
        ("v0.1.17", True, {"kernel_2": "opus_x"}, "ck2stages opus", ""),
        (NEWEST, True, {"kernel_2": "cktile_x"}, "ck2stages cktile", ""),
        ("v0.1.14", True, {"kernel_2": "cktile_x"}, "ck2stages ck2stages", ""),
        (NEWEST, True, {"kernel_1": "flydsl_mxmoe_g1_a4w4_32x256x256"}, "flydsl flydsl", ""),
        (NEWEST, False, {"kernel_1": "flydsl_mxmoe_g1_a4w4_32x256x256"}, "flydsl flydsl",
         "FlyDSL is not installed"),
        ("v0.1.17", False, {"kernel_1": "flydsl_mxmoe_g1_a4w4_32x256x256"}, "asm ck2stages",
         "no kernel flydsl_mxmoe"),
        (NEWEST, True, {"kernel_1": "_ZN5aiter1x"}, "asm ck2stages", ""),
    ],
)  # fmt: skip
def test_rows_that_name_other_back_ends(
    release: str, flydsl: bool, changes: dict[str, Any], backends: str, fault: str
) -> None:
    asked = rules(release, flydsl=flydsl)
    found = route(key("b16", "b16", "b16", "no"), Shape(**SHAPE), 64, asked, row(**changes))
    assert found.backends == tuple(backends.split())
    assert fault in found.fault
    assert bool(found.fault) == bool(fault)


def test_a_row_for_mxfp4_does_not_keep_flydsl_or_cktile_away() -> None:
    shape = Shape(**SHAPE)
    assert route(key(*MXFP4), shape, 64, rules(), row()).rule == "mxfp4-flydsl"
    found = route(key(*MXFP4), shape, 64, rules(flydsl=False), row(split_k=4))
    assert (found.rule, found.by_row) == ("mxfp4-split-k", True)
    off = route(key(*MXFP4), shape, 64, rules(flydsl=False, ksplit=-1), row(split_k=4))
    assert off.rule == "ck2stages"


FEATURES = [
    key(*MXFP4),
    key(*MXFP4, preshuffle=False),
    key(*BLOCKSCALE),
    key(*BLOCKSCALE, splitk=True),
    key(*BLOCKSCALE, routed_weight_stage=1),
    key(*PER_TOKEN),
    key("f8", "f8", "f16", "per_token"),
    key("b16", "b16", "b16", "no"),
]


def brute_force(
    features: ModuleKey, stage: int, shape: Shape, low: int, high: int
) -> tuple[int, ...]:
    """Ask for every single token count, every generation, with FlyDSL and without."""
    found = set()
    for tokens in range(low, high + 1):
        found |= {route(features, shape, tokens, each) for each in every_rules()}
    if stage == 2:
        hits = {
            r.calls[1].block_m
            for r in found
            if r.backends[1] == "ck2stages" and not features.splitk
        }
    else:
        wanted = features.splitk
        hits = {
            r.calls[0].block_m
            for r in found
            if r.backends[0] == "ck2stages" and r.calls[0].features.splitk == wanted
        }
    return tuple(sorted(hits))


def reached(features: ModuleKey, stage: int, shape: Shape, low: int, high: int) -> tuple[int, ...]:
    calls = routing.heuristic_calls(features, shape, (low, high))
    own = [call for call in calls if (call.features, call.stage) == (features, stage)]
    assert all(call.shape == shape for call in own)
    assert len({(call.block_m, call.parts) for call in own}) == len(own)
    return tuple(sorted({call.block_m for call in own}))


@settings(max_examples=40, deadline=None)
@given(
    features=st.sampled_from(FEATURES),
    stage=st.sampled_from([1, 2]),
    shape=shapes,
    low=st.integers(1, 3000),
    more=st.integers(0, 24),
)
def test_reached_block_sizes_are_those_of_every_token_count(
    features: ModuleKey, stage: Any, shape: Shape, low: int, more: int
) -> None:
    expected = brute_force(features, stage, shape, low, low + more)
    assert reached(features, stage, shape, low, low + more) == expected


@pytest.mark.parametrize("features", [key(*MXFP4), key(*BLOCKSCALE)])
@pytest.mark.parametrize("stage", [1, 2])
def test_reached_block_sizes_of_all_131072_counts(features: ModuleKey, stage: Any) -> None:
    """One count of each group that every generation pads alike."""
    shape = Shape(**SHAPE)
    tiers = {each.tiers for each in load().generations.values()}
    counts: dict[tuple[int, ...], int] = {}
    for tokens in range(1, 131_073):
        counts.setdefault(tuple(padded_tokens(tokens, each) for each in tiers), tokens)
    blocks = [brute_force(features, stage, shape, tokens, tokens) for tokens in counts.values()]
    expected = tuple(sorted({block for found in blocks for block in found}))
    assert reached(features, stage, shape, 1, 131_072) == expected


def test_a_size_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="tokens is 0"):
        ask(key(*BLOCKSCALE), 0)


RECORDED: dict[str, Any] = json.loads(CHOICES.read_text())


@pytest.mark.parametrize("release", RECORDED["answers"])
@pytest.mark.parametrize("flydsl", [False, True], ids=["without FlyDSL", "with FlyDSL"])
def test_aiter_itself_answered_so(release: str, flydsl: bool) -> None:
    """Back ends, block_m of CK2stages and split K of stage 1, for every shape and token count."""
    book = load()
    found = {each.tag: book.generations[each.generation] for each in book.releases}[release]
    answers = RECORDED["answers"][release]["flydsl" if flydsl else "plain"]
    for setting, values in RECORDED["settings"].items():
        for (name, kind), answer in zip(RECORDED["shapes"].items(), answers[setting], strict=True):
            features = ModuleKey(**kind["features"])
            asked = Rules(
                generation=found, flydsl=flydsl, gives_1x128=kind["gives_1x128"],
                **{"cu_count": 256, **values},
            )  # fmt: skip
            given = [
                _code(route(features, Shape(**kind["shape"]), tokens, asked))
                for tokens in RECORDED["tokens"]
            ]
            assert " ".join(_runs(given)) == answer, f"{name}, {setting}"


def _runs(codes: list[str]) -> list[str]:
    """``c64*3`` for three equal answers one after the other."""
    return [f"{code}*{len(list(group))}" for code, group in itertools.groupby(codes)]


def _code(found: Route) -> str:
    """``c64``: CK2stages with block_m 64; ``s16``: stage 1 with split K; ``a16``: stage 2 alone."""
    first, second = found.backends
    if second != "ck2stages":
        return {"one-stage": "1", "cktile": "t", "flydsl": "f"}[first]
    letter = {"asm": "a", "ck2stages": "c"}[first]
    call = found.calls[0]
    return f"{'s' if call.features.splitk and letter == 'c' else letter}{call.block_m}"
