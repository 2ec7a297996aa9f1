"""Kernels of every kind of call that there are problems for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from aiter_prebuilt.selftest.problems import Case
from aiter_prebuilt.wheel.manifest import ModuleKey
from tests.unit.aiter_prebuilt.samples import instance, kernel, module

KINDS = (
    ("fp4x2", "fp4x2", "per_1x32"),
    ("f8", "f8", "per_token"),
    ("f8", "f8", "per_tensor"),
    ("f8", "f8", "per_1x128"),
    ("f8", "f8", "per_128x128"),
    ("f8", "i4", "per_token"),
    ("f8", "i4", "per_tensor"),
    ("b16", "b16", "no"),
    ("f16", "f16", "no"),
)


def features(a: str = "fp4x2", b: str = "fp4x2", quant: str = "per_1x32", **more: Any) -> ModuleKey:
    values: dict[str, Any] = {
        "a_dtype": a,
        "b_dtype": b,
        "c_dtype": "b16",
        "preshuffle": True,
        "activation": "silu",
        "quant": quant,
        "routed_weight_stage": 2,
    }
    return ModuleKey(**{**values, **more})


def case(kind: ModuleKey | None = None, stage: int = 1, **changes: Any) -> Case:
    """A kernel with blocks of 32 rows, 32 columns and 256 values of K, without main loop."""
    own = kernel(main_loop=False, tail="odd")
    values: dict[str, Any] = {
        "stage": stage,
        "n_per_block": 32,
        "k_per_block": 256,
        "kernels": (own,),
    }
    one = instance(**{**values, **changes})
    made = module(features=kind or features(), instances=(one,))
    return Case(module=made, instance=one, kernel=one.kernels[0])


def split_case(kind: ModuleKey | None = None, **changes: Any) -> Case:
    """The same of a module that splits K, with two steps in a part."""
    own = kernel(main_loop=False, tail="even")
    kind = kind or features("f8", "f8", "per_1x128", splitk=True)
    return case(kind, kernels=(own,), **changes)


def as_bf16(values: Sequence[float]) -> bytes:
    """An output of these values; some of them are beyond bfloat16, where anything is right."""
    with np.errstate(over="ignore"):
        return np.array(values).astype(ml_dtypes.bfloat16).tobytes()
