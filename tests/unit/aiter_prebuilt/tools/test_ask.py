"""Which batches the options of ``explain`` stand for."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import pytest

from aiter_prebuilt.choice.model import QUANTS, ModelConfigError
from aiter_prebuilt.choice.questions import ShapeError
from aiter_prebuilt.errors import UsageError
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.tools import ask
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import Deployment
from tests.unit.aiter_prebuilt import samples

SIZES = ("--model-dim", "7168", "--inter-dim", "2048")
CONFIG = {
    "model_type": "kimi", "hidden_size": 7168, "moe_intermediate_size": 2048,
    "n_routed_experts": 384, "num_experts_per_tok": 8, "n_shared_experts": 1,
    "hidden_act": "silu",
}  # fmt: skip


def deployment(tp: int) -> Deployment:
    shape = dataclasses.replace(samples.SHAPE, inter_dim=2048 // tp)
    return Deployment(
        recipe="kimi", tp=tp, shape=shape, tokens_min=1, tokens_max=5, features=samples.FEATURES
    )


SHELF = store.Shelf(
    folder=Path("site"),
    manifest=samples.manifest(deployments=(deployment(2), deployment(4))),
    reason=None,
)


def calls(*words: str | Path) -> list[ask.Asked]:
    parser = argparse.ArgumentParser()
    ask.options(parser)
    return ask.calls(parser.parse_args([str(word) for word in words]), (SHELF,))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def test_a_recipe_with_its_own_batches_or_with_others() -> None:
    two, four = calls("--recipe", "kimi")
    assert two[0] == samples.FEATURES
    assert [(each.tokens, each.tp) for each in two[1]] == [(1, 2), (2, 2), (4, 2), (5, 2)]
    assert {each.shape.inter_dim for each in four[1]} == {512}
    (only,) = calls("--recipe", "kimi", "--tp", "4", "--tokens", "7", "99", "--block-m", "64")
    assert [(each.tokens, each.tp, each.block_m) for each in only[1]] == [(7, 4, 64), (99, 4, 64)]
    with pytest.raises(ShapeError, match="recipe kimi has TP 2, 4, not 8, 16"):
        calls("--recipe", "kimi", "--tp", "2", "16", "8")


def test_a_wheel_that_cannot_be_read_is_told() -> None:
    reason = Reason(code="manifest-invalid", message="manifest is not JSON")
    broken = store.Shelf(folder=Path("site"), manifest=None, reason=reason)
    parser = argparse.ArgumentParser()
    ask.options(parser)
    with pytest.raises(ShapeError, match="known are: none; manifest is not JSON"):
        ask.calls(parser.parse_args(["--recipe", "kimi"]), (broken,))


def test_a_models_own_configuration(config: Path) -> None:
    ((features, found),) = calls(
        "--config", config, "--quant", "mxfp4", "--tp", "2", "8", "--ep", "2", "--tokens", "64"
    )
    assert features == samples.FEATURES
    assert [(each.tp, each.ep, each.tokens) for each in found] == [(2, 2, 64), (8, 2, 64)]
    assert [each.shape.inter_dim for each in found] == [1024, 256]
    assert {(each.shape.experts, each.shape.topk) for each in found} == {(192, 8)}
    ((_, fused),) = calls("--config", config, "--quant", "mxfp4", "--fuse-shared")
    assert {(each.shape.experts, each.shape.topk) for each in fused} == {(385, 9)}
    assert [each.tokens for each in fused] == [1 << bits for bits in range(15)]


def test_what_a_configuration_says_of_its_weights_counts(config: Path) -> None:
    found = calls("--config", config, "--tokens", "1")
    assert [(key.a_dtype, key.quant, key.preshuffle) for key, _ in found] == [
        ("b16", "no", True),
        ("b16", "no", False),
    ], "BF16 weights are served with AITER's mark and without"
    ((only, _),) = calls("--config", config, "--no-preshuffle", "--tokens", "1")
    assert not only.preshuffle
    config.write_text(json.dumps({**CONFIG, "quantization_config": {"quant_method": "odd"}}))
    with pytest.raises(UsageError, match="does not say how its experts are quantised"):
        calls("--config", config)
    with pytest.raises(ModelConfigError, match="is not a multiple of TP 3"):
        calls("--config", config, "--quant", "mxfp4", "--tp", "3")


def test_sizes_are_of_one_gpu_unless_a_tp_is_given() -> None:
    ((features, found),) = calls(*SIZES, "--tokens", "64")
    assert features == samples.FEATURES
    assert [(each.shape.inter_dim, each.tp) for each in found] == [(2048, None)]
    assert (found[0].shape.experts, found[0].shape.topk) == (384, 8)
    ((_, found),) = calls(*SIZES, "--tokens", "64", "--tp", "2", "8", "--kernel-name2", "x")
    assert [(each.shape.inter_dim, each.tp, each.kernel_2) for each in found] == [
        (1024, 2, "x"),
        (256, 8, "x"),
    ]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ((), ("fp4x2", "fp4x2", "per_1x32")),
        (("--quant", "fp8-block"), ("f8", "f8", "per_1x128")),
        (("--quant", "per_128x128"), ("f8", "f8", "per_128x128")),
        (("--quant", "per_token", "--b-dtype", "i4"), ("f8", "i4", "per_token")),
        (("--quant", "no", "--a-dtype", "f16", "--b-dtype", "f16"), ("f16", "f16", "no")),
    ],
)
def test_a_quantisation_brings_its_dtypes(
    words: tuple[str, ...], kind: tuple[str, str, str]
) -> None:
    ((key, _),) = calls(*SIZES, "--tokens", "1", *words)
    assert (key.a_dtype, key.b_dtype, key.quant) == kind


def test_a_file_of_shapes(tmp_path: Path) -> None:
    path = tmp_path / "shapes.csv"
    path.write_text("tokens,model_dim,inter_dim\n64,7168,1024\n")
    ((key, found),) = calls("--shapes", path, "--quant", "bf16", "--topk", "4")
    assert (key.quant, found[0].shape.topk, found[0].shape.experts) == ("no", 4, 384)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--recipe", "kimi", "--config", "x"), "--recipe and --config are two sources"),
        (("--recipe", "kimi", "--quant", "mxfp4"), "--quant does not go with --recipe"),
        (("--recipe", "kimi", "--model-dim", "1"), "--model-dim does not go with --recipe"),
        (("--shapes", "x", "--tp", "2", "--tokens", "1"), "--tokens, --tp do not go with --shapes"),
        (("--config", "x", "--experts", "2"), "--experts does not go with --config"),
        ((*SIZES, "--fuse-shared"), "--fuse-shared does not go with sizes"),
    ],
)
def test_options_that_do_not_go_together(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        calls(*words)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "words", [("--tokens", "0"), ("--tp", "x"), ("--quant", "fp3"), ("--activation", "relu")]
)
def test_values_that_are_none(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        calls(*SIZES, *words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_every_option_says_its_default_or_is_a_source() -> None:
    parser = argparse.ArgumentParser()
    ask.options(parser)
    sources = {"--recipe", "--config", "--shapes", "--model-dim", "--inter-dim", "--fuse-shared"}
    silent = {
        action.option_strings[-1]
        for action in parser._actions
        if "default" not in (action.help or "") and action.dest != "help"
    }
    assert silent == sources
    assert set(QUANTS) <= set(parser._option_string_actions["--quant"].choices or ())
