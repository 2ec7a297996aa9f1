"""A problem as the arguments of ``ck_moe_stage1`` and ``ck_moe_stage2``, in AITER's order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiter_prebuilt import kinds
from aiter_prebuilt.selftest.content import Content
from aiter_prebuilt.selftest.problems import Problem
from aiter_prebuilt.selftest.scales import Scales
from aiter_prebuilt.selftest.tensors import Tensors
from aiter_prebuilt.values import value_class

OUT = "out"


@value_class(frozen=True, kw_only=True)
class Call:
    """One call, and what its buffers hold before it."""

    function: str
    arguments: tuple[Any, ...]
    sent: Mapping[str, Content]
    """Name of a buffer -> its content, without the guard."""


def make_call(problem: Problem, before: Content, tensors: Tensors) -> Call:
    """Put a problem into memory, ``before`` into its output, and return the call."""
    sent: dict[str, Content] = {}

    def place(name: str, dtype: str, shape: tuple[int, ...], data: Content) -> Any:  # noqa: ANN401
        sent[name] = data
        return tensors.make(name, dtype, shape, data)

    def scale(name: str, scales: Scales | None) -> Any:  # noqa: ANN401
        if scales is None:
            return None
        width = 4 if scales.torch == "float32" else 1
        return place(name, scales.torch, (len(scales.data) // width,), scales.data)

    def words(name: str, data: Content, dtype: str = "int32") -> Any:  # noqa: ANN401
        return place(name, dtype, (len(data) // 4,), data)

    features, dtypes = problem.features, kinds.dtypes()
    out_dtype = "float32" if problem.splits else dtypes[features.c_dtype].torch
    a, w = problem.activations, problem.weights
    weights = place("w", dtypes[w.format].torch, w.shape, w.data)
    arguments = (
        place("a", dtypes[a.format].torch, a.shape, a.data),
        weights,
        weights,
        words("sorted_token_ids", problem.sorted_ids),
        words("sorted_expert_ids", problem.sorted_experts),
        words("num_valid_ids", problem.valid),
        place(OUT, out_dtype, problem.out_shape, before),
        problem.topk,
        problem.kernel_name,
        scale("w_scale", w.scales),
        scale("a_scale", a.scales),
        problem.block_m,
        words("sorted_weights", problem.sorted_weights, "float32") if problem.multiplies else None,
        kinds.QUANTISATIONS[features.quant].number,
        kinds.ACTIVATIONS[features.activation].number,
        problem.parts,
        False,
        None,
        features.preshuffle,
    )
    return Call(function=f"ck_moe_stage{problem.stage}", arguments=arguments, sent=sent)
