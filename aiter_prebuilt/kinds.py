"""AITER's words for operands: dtypes, quantisations and activations, one table each.

The words are those of AITER's module names (``aiter/ops/moe_op.py``), the numbers those of its
``QuantType`` and ``ActivationType`` (``csrc/include/aiter_enum.h``), at ``9bab8388`` and
``e4048607``.  What runtime, planner, generator and verifier need of a word stands beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from aiter_prebuilt import target
from aiter_prebuilt.values import value_class


@value_class(frozen=True, kw_only=True)
class Dtype:
    """How an operand holds its values."""

    name: str
    """In module names."""
    torch: str
    """torch's name without ``torch.``, as AITER's tuned tables write it."""
    accepted: tuple[str, ...]
    """Every torch dtype in which AITER's callers hand such an operand over."""
    ck: str
    """The C++ type with which CK's operations are instantiated."""


@value_class(frozen=True, kw_only=True)
class Quantisation:
    """What scales the operands."""

    name: str
    """As callers and tables mean it, in small letters."""
    aiter: str
    """The name of the member of QuantType."""
    number: int
    """Its value, which stands in instance names, too."""
    module: str
    """The part of the module's name: two quantisations can share a module."""


@value_class(frozen=True, kw_only=True)
class Activation:
    """What stage 1 applies to the gate."""

    name: str
    """In module and instance names."""
    aiter: str
    """The name of the member of ActivationType."""
    number: int
    """Its value, as callers pass it."""
    ck: int
    """CK's ActivationOp, with which the kernels are instantiated."""


@functools.cache
def dtypes() -> Mapping[str, Dtype]:
    """Return every dtype by name; the 8-bit float is the target's."""
    fp8 = target.load().fp8
    rows = (
        ("f16", "float16", (), "ck::half_t"),
        ("b16", "bfloat16", (), "ck::bhalf_t"),
        ("f8", fp8, (), "ck::f8_t"),
        ("i8", "int8", (), "int8_t"),
        # A torch without packed fp4 carries it as bytes.
        ("fp4x2", "float4_e2m1fn_x2", ("float4_e2m1fn_x2", "uint8"), "ck::f4x2_pk_t"),
        ("i4", "uint32", ("uint8", "int8", "int32", "uint32", "int4"), "ck::pk_i4_t"),
    )
    return {
        name: Dtype(name=name, torch=torch, accepted=accepted or (torch,), ck=ck)
        for name, torch, accepted, ck in rows
    }


QUANTISATIONS: Mapping[str, Quantisation] = {
    member.lower(): Quantisation(name=member.lower(), aiter=member, number=number, module=module)
    for member, number, module in (
        ("No", 0, "no"),
        ("per_Tensor", 1, "per_tensor"),
        ("per_Token", 2, "per_token"),
        ("per_1x32", 3, "per_1x32"),
        ("per_1x128", 4, "per_1x128"),
        ("per_128x128", 5, "per_1x128"),
    )
}

ACTIVATIONS: Mapping[str, Activation] = {
    member.lower(): Activation(name=member.lower(), aiter=member, number=number, ck=ck)
    for member, number, ck in (("Silu", 0, 1), ("Gelu", 1, 0), ("Swiglu", 2, 3))
}
