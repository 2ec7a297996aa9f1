"""A deployment's shape, a call of one stage, and the GEMM that it runs: one type each.

AITER's words are used (``model_dim``, ``inter_dim``, ``experts``, ``topk``).  A recipe is the one
place that has others; it makes a :class:`Shape` of them.
"""

from __future__ import annotations

from typing import Literal

from aiter_prebuilt.values import value_class

Stage = Literal[1, 2]
"""1: gate and up projection with the activation; 2: down projection."""
STAGES: tuple[Stage, ...] = (1, 2)

Tail = Literal["odd", "even", "full"]
"""CK's TailNumber: the parity of the K steps, or one kernel for both."""
Variant = tuple[bool, Tail]
"""One of an instance's kernels: (has the main K loop, tail)."""


@value_class(frozen=True, kw_only=True)
class ModuleKey:
    """The call features that choose a module: the parts of AITER's module name."""

    a_dtype: str
    b_dtype: str
    c_dtype: str
    preshuffle: bool
    activation: str
    quant: str
    routed_weight_stage: Stage
    splitk: bool = False

    @property
    def stock_name(self) -> str:
        """AITER's name of the module that holds all instances for these features."""
        from aiter_prebuilt.kinds import QUANTISATIONS  # serving a module asks for no name

        known = QUANTISATIONS.get(self.quant)
        parts = [
            "module_moe_ck2stages",
            self.a_dtype,
            self.b_dtype,
            "preshuffle_on" if self.preshuffle else "preshuffle_off",
            self.c_dtype,
            self.activation,
            known.module if known else self.quant,
            f"mulWeightStage{self.routed_weight_stage}",
        ]
        return "_".join([*parts, "splitk"] if self.splitk else parts)


@value_class(frozen=True, kw_only=True)
class Gemm:
    """What one stage multiplies: M sorted rows, N columns of the output, K values to sum."""

    m: int
    n: int
    k: int


@value_class(frozen=True, kw_only=True)
class Shape:
    """A MoE layer on one GPU."""

    model_dim: int
    """Elements of a token: the model's hidden size."""
    inter_dim: int
    """Elements of an expert's intermediate state, divided by the tensor-parallel size."""
    experts: int
    topk: int
    """Experts of one token."""

    def sorted_rows(self, tokens: int, block_m: int) -> int:
        """Rows of the sorted token ids: every expert may end in a block that it does not fill."""
        return tokens * self.topk + self.experts * block_m - self.topk

    def gemm(self, stage: Stage, *, tokens: int, block_m: int) -> Gemm:
        """The GEMM of a stage: 1 projects model_dim to inter_dim, 2 projects back.

        M is what AITER gives to CK: no more rows than a block for each token and expert.
        """
        rows = min(tokens * self.topk * block_m, self.sorted_rows(tokens, block_m))
        if stage == 1:
            return Gemm(m=rows, n=self.inter_dim, k=self.model_dim)
        return Gemm(m=rows, n=self.model_dim, k=self.inter_dim)


@value_class(frozen=True, kw_only=True)
class Call:
    """One stage of a MoE layer, as AITER asks CK2stages for it."""

    features: ModuleKey
    shape: Shape
    stage: Stage
    tokens: int
    """Of the batch."""
    block_m: int
    kernel_name: str = ""
    """Empty: AITER's heuristic takes the instance."""
    parts: int = 1
    """Parts that AITER splits K into where the features say that it is split."""

    @property
    def gemm(self) -> Gemm:
        """What the call multiplies."""
        return self.shape.gemm(self.stage, tokens=self.tokens, block_m=self.block_m)
