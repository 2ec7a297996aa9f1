from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.call import Shape
from aiter_prebuilt.choice.model import ModelConfigError, read_model

DEEPSEEK: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "hidden_act": "silu",
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}
MIXTRAL: dict[str, Any] = {
    "model_type": "mixtral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}


def write(folder: Path, content: object) -> Path:
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_experts_own_size_counts_not_that_of_dense_layers(tmp_path: Path) -> None:
    model = read_model(write(tmp_path, DEEPSEEK))
    expected = Shape(model_dim=7168, inter_dim=256, experts=256, topk=8)
    assert model.shape(tp=8) == expected
    assert model.quant == "fp8-block"


def test_shared_experts_and_expert_parallelism(tmp_path: Path) -> None:
    model = read_model(write(tmp_path, DEEPSEEK))
    fused = model.shape(fused=True)
    assert (fused.experts, fused.topk) == (257, 9)
    parallel = model.shape(ep=8, fused=True)
    assert (parallel.experts, parallel.topk, parallel.inter_dim) == (33, 9, 2048)


def test_other_names_and_no_quantisation(tmp_path: Path) -> None:
    model = read_model(write(tmp_path, MIXTRAL))
    assert model.shape() == Shape(model_dim=4096, inter_dim=14336, experts=8, topk=2)
    assert model.quant == "bf16"


def test_a_multimodal_model_has_them_one_level_down(tmp_path: Path) -> None:
    quant = {
        "quant_method": "quark",
        "global_quant_config": {"weight": {"dtype": "fp4", "e": "mx"}},
    }
    whole = {"model_type": "kimi_k25", "text_config": DEEPSEEK, "quantization_config": quant}
    model = read_model(write(tmp_path, whole))
    assert model.name == "kimi_k25"
    assert model.hidden_size == 7168
    assert model.quant == "mxfp4"


@pytest.mark.parametrize("found", [{"quant_method": "awq"}, {"quant_method": "fp8"}, "fp8"])
def test_a_quantisation_that_is_not_known_is_not_guessed(found: object, tmp_path: Path) -> None:
    assert read_model(write(tmp_path, {**MIXTRAL, "quantization_config": found})).quant is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"hidden_size": 4096}, ["none of moe_intermediate_size", "none of n_routed_experts"]),
        ({**MIXTRAL, "hidden_size": "4096"}, ["hidden_size is '4096'"]),
        ({**MIXTRAL, "num_local_experts": True}, ["num_local_experts is True"]),
        ({**MIXTRAL, "hidden_act": "relu2"}, ["hidden_act is 'relu2', expected one of silu"]),
        ([], ["holds list"]),
        ("{", ["is not JSON"]),
        ("[" * 200_000, ["is not JSON"]),
    ],
)
def test_everything_that_is_wrong_is_named(
    content: object, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ModelConfigError) as caught:
        read_model(write(tmp_path, content))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("named", "activation"),
    [({"hidden_act": "gelu_new"}, "gelu"), ({"hidden_act": None}, "silu"), ({}, "silu")],
)
def test_the_activation_is_the_models(
    named: dict[str, object], activation: str, tmp_path: Path
) -> None:
    bare = {key: value for key, value in MIXTRAL.items() if key != "hidden_act"}
    assert read_model(write(tmp_path, {**bare, **named})).activation == activation


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match="No such file"):
        read_model(tmp_path / "config.json")


def test_sizes_that_do_not_divide(tmp_path: Path) -> None:
    model = read_model(write(tmp_path, MIXTRAL))
    with pytest.raises(ModelConfigError, match=r"TP 3; .*EP 5"):
        model.shape(tp=3, ep=5)
