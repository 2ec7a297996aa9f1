"""A model's own ``config.json`` (as Hugging Face's transformers write it) as a MoE layer's sizes.

Key names are those of the configurations of DeepSeek, Kimi, Qwen, GLM, MiniMax, Mixtral, Llama 4
and Grok; a multimodal model has them in ``text_config``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiter_prebuilt.call import Shape
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.values import value_class

_HIDDEN = ("hidden_size", "d_model")
_INTER = ("moe_intermediate_size", "expert_intermediate_size", "intermediate_size")
_EXPERTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")
_TOPK = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "top_k")
_SHARED = ("n_shared_experts", "num_shared_experts")
_ACTIVATIONS = {
    **dict.fromkeys(("silu", "swish"), "silu"),
    **dict.fromkeys(("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"), "gelu"),
}


class ModelConfigError(PrebuiltError):
    """A model's configuration cannot be used; the message names every problem."""


@value_class(frozen=True, kw_only=True)
class Quant:
    """How a server quantises a model's experts, in the words of AITER's module names."""

    name: str
    """What people call it."""
    a_dtype: str
    b_dtype: str
    quant: str
    marks: tuple[bool, ...]
    """Servers mark the weights as shuffled, or do both (docs/models.md)."""


QUANTS: Mapping[str, Quant] = {
    name: Quant(name=name, a_dtype=a, b_dtype=b, quant=quant, marks=marks)
    for name, a, b, quant, marks in (
        ("mxfp4", "fp4x2", "fp4x2", "per_1x32", (True,)),
        ("fp8-block", "f8", "f8", "per_1x128", (True, False)),
        ("fp8-token", "f8", "f8", "per_token", (True, False)),
        ("fp8-tensor", "f8", "f8", "per_tensor", (True, False)),
        ("bf16", "b16", "b16", "no", (True, False)),
        ("w4a8", "f8", "i4", "per_token", (True,)),
    )
}


@value_class(frozen=True, kw_only=True)
class Model:
    """The MoE layers of a model, whole: before tensor and expert parallelism."""

    name: str
    hidden_size: int
    inter_size: int
    """Of one expert."""
    experts: int
    topk: int
    shared: int
    """Experts that every token goes to; AITER can run them with the others."""
    activation: str
    quant: str | None
    """A key of :data:`QUANTS`; None where the configuration does not say."""

    def shape(self, *, tp: int = 1, ep: int = 1, fused: bool = False) -> Shape:
        """The layer on one GPU of ``tp`` times ``ep``; ``fused`` takes the shared experts along.

        Raises :class:`ModelConfigError` where a size does not divide.
        """
        problems = [
            f"{what} {count} is not a multiple of {name} {size}"
            for what, count, name, size in (
                ("the experts' intermediate size", self.inter_size, "TP", tp),
                ("the number of experts", self.experts, "EP", ep),
            )
            if size < 1 or count % size
        ]
        if problems:
            raise ModelConfigError(f"{self.name}: {'; '.join(problems)}")
        along = self.shared if fused else 0
        return Shape(
            model_dim=self.hidden_size,
            inter_dim=self.inter_size // tp,
            experts=self.experts // ep + along,
            topk=self.topk + along,
        )


def read_model(path: Path) -> Model:
    """Read a ``config.json``; raises :class:`ModelConfigError` with everything that is missing."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ModelConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # brackets without end
        raise ModelConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise ModelConfigError(f"{path} holds {type(raw).__name__}, expected an object")
    inner = raw.get("text_config")
    text: Mapping[str, Any] = {**raw, **inner} if isinstance(inner, dict) else raw
    problems: list[str] = []
    model = Model(
        name=str(raw.get("_name_or_path") or raw.get("model_type") or path.stem),
        hidden_size=_number(text, _HIDDEN, problems),
        inter_size=_number(text, _INTER, problems),
        experts=_number(text, _EXPERTS, problems),
        topk=_number(text, _TOPK, problems),
        shared=_number(text, _SHARED, problems, default=0),
        activation=_activation(text, problems),
        quant=_quant(raw.get("quantization_config") or text.get("quantization_config")),
    )
    if problems:
        raise ModelConfigError(f"{path} is not of a model with experts: {'; '.join(problems)}")
    return model


def _number(
    raw: Mapping[str, Any], keys: Sequence[str], problems: list[str], default: int | None = None
) -> int:
    for key in keys:
        value = raw.get(key)
        if type(value) is int and (value > 0 or value == default):
            return value
        if value is not None and default is None:
            problems.append(f"{key} is {value!r}, expected a number above 0")
            return 0
    if default is None:
        problems.append(f"none of {', '.join(keys)} is there")
        return 0
    return default


def _activation(raw: Mapping[str, Any], problems: list[str]) -> str:
    """CK2stages' name of ``hidden_act``; of a model that names none it is SiLU's."""
    value = raw.get("hidden_act")
    if value is None:
        return "silu"
    if str(value) not in _ACTIVATIONS:
        problems.append(f"hidden_act is {value!r}, expected one of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS.get(str(value), "")


def _quant(found: object) -> str | None:
    """What ``quantization_config`` says; no such part means BF16 as it is."""
    if found is None:
        return "bf16"
    if not isinstance(found, dict):
        return None
    if found.get("quant_method") == "fp8":
        return "fp8-block" if found.get("weight_block_size") == [128, 128] else None
    text = json.dumps(found).lower()
    return "mxfp4" if "fp4" in text and ("mx" in text or "e8m0" in text) else None
