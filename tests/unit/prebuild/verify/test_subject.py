"""Facts in a mangled symbol, and the problems that they lead to."""

from __future__ import annotations

import pytest

from aiter_prebuilt.choice.routing import heuristic_calls
from prebuild.core.project import Project
from prebuild.recipe.recipes import load_recipes
from prebuild.verify.errors import UnknownKernelError
from prebuild.verify.problems import Kind
from prebuild.verify.subject import SPLITS, Facts, batches, facts_of, k_steps, takes

GEMM1 = (
    "_ZN2ck22kernel_moe_mxgemm_2ldsINS_29GridwiseMoeGemmMX_BPreshuffleINS_13tensor_layout4g"
    "emm8RowMajorENS3_11ColumnMajorENS_5TupleIJS4_S5_S4_EEES4_NS_9f4x2_pk_tENS_11e8m0_bexp_"
    "tES8_S9_ffNS6_IJfffEEEtNS_16tensor_operation12element_wise11PassThroughESD_18MulABScal"
    "eShuffledLNSB_6device18GemmSpecializationE0ELi32ELi256ELi128ELi128ELi128ELi16ELi16ELi1"
    "6ELi16ELi8ELi2ENS_8SequenceIJLi8ELi32ELi1EEEENSH_IJLi1ELi0ELi2EEEESJ_Li2ELi16ELi16ELb0"
    "ELi1ESI_SJ_SJ_Li2ELi16ELi16ELb0ELi1ELi2ELi2ENSH_IJLi1ELi32ELi1ELi8EEEENSH_IJLi8ELi1ELi"
    "8EEEELNS_26BlockGemmPipelineSchedulerE0ELNS_24BlockGemmPipelineVersionE2ELi1ELb0ELb1EL"
    "b0EiS8_S8_EELb1ELNS_25InMemoryDataOperationEnumE0ELi2ELNS_10TailNumberE1EEEvNT_8Argume"
    "ntE"
)
GEMM2 = (
    "_ZN2ck17kernel_moe_mxgemmINS_29GridwiseMoeGemmMX_BPreshuffleINS_13tensor_layout4gemm8R"
    "owMajorENS3_11ColumnMajorENS_5TupleIJS4_S5_S4_EEES4_NS_9f4x2_pk_tENS_11e8m0_bexp_tES8_"
    "S9_ffNS6_IJfffEEEtNS_16tensor_operation12element_wise11PassThroughESD_30MulABScaleExpe"
    "rtWeightShuffledLNSB_6device18GemmSpecializationE0ELi32ELi64ELi32ELi32ELi128ELi16ELi16"
    "ELi16ELi16ELi2ELi2ENS_8SequenceIJLi8ELi8ELi1EEEENSH_IJLi1ELi0ELi2EEEESJ_Li2ELi16ELi16E"
    "Lb0ELi1ESI_SJ_SJ_Li2ELi16ELi16ELb0ELi1ELi2ELi2ENSH_IJLi1ELi4ELi1ELi16EEEENSH_IJLi2ELi1"
    "ELi2EEEELNS_26BlockGemmPipelineSchedulerE0ELNS_24BlockGemmPipelineVersionE0ELi0ELb0ELb"
    "0ELb1EiS8_S8_EELb1ELNS_25InMemoryDataOperationEnumE1ELi2ELNS_10TailNumberE1EEEvNT_8Arg"
    "umentE"
)

BLOCKSCALE = (
    "_ZN2ck15kernel_moe_gemmINS_25GridwiseMoeGemmBlockScaleINS_13tensor_layout4gemm8RowMajo"
    "rENS3_11ColumnMajorENS_5TupleIJS4_EEES4_NS_9f8_fnuz_tES8_ffNS6_IJfEEEtNS_16tensor_oper"
    "ation12element_wise11PassThroughESC_34MulABScaleExpertWeightA8W8blkscaleLNSA_6device18"
    "GemmSpecializationE0ELi128ELi1ELi128ELi128ELi16ELi128ELi128ELi16ELi16ELi16ELi16ELi1ELi"
    "4ENS_8SequenceIJLi8ELi16ELi1EEEENSG_IJLi1ELi0ELi2EEEESI_Li2ELi16ELi16ELb0ELi0ESH_SI_SI"
    "_Li2ELi16ELi16ELb0ELi0ELi1ELi4ENSG_IJLi1ELi2ELi1ELi64EEEENSG_IJLi2ELi1ELi1ELi1EEEELNS_"
    "26BlockGemmPipelineSchedulerE0ELNS_24BlockGemmPipelineVersionE0ELi0ELb0ELb0ELb1EiS8_S8"
    "_S8_S8_EELb1ELNS_25InMemoryDataOperationEnumE1ELi2ELNS_10TailNumberE0EEEvNT_8ArgumentE"
)


SPLIT = (
    "_ZN2ck15kernel_moe_gemmINS_25GridwiseMoeGemmBlockScaleINS_13tensor_layout4gemm8RowMajo"
    "rENS3_11ColumnMajorENS_5TupleIJS4_EEES4_NS_9f8_fnuz_tES8_ffNS6_IJfEEEfNS_16tensor_oper"
    "ation12element_wise11PassThroughESC_40MulABScaleExpertWeightA8W8blkscaleSplitkLNSA_6de"
    "vice18GemmSpecializationE0ELi256ELi1ELi128ELi128ELi16ELi128ELi256ELi16ELi16ELi16ELi16E"
    "Li1ELi2ENS_8SequenceIJLi16ELi16ELi1EEEENSG_IJLi1ELi0ELi2EEEESI_Li2ELi16ELi16ELb0ELi0ES"
    "H_SI_SI_Li2ELi16ELi16ELb0ELi0ELi1ELi2ENSG_IJLi1ELi16ELi1ELi16EEEENSG_IJLi2ELi1ELi1ELi1"
    "EEEELNS_26BlockGemmPipelineSchedulerE0ELNS_24BlockGemmPipelineVersionE0ELi1ELb0ELb1ELb"
    "1ELb0EiS8_S8_S8_S8_Lb0EEELb0ELNS_25InMemoryDataOperationEnumE1ELi2ELNS_10TailNumberE1E"
    "EEvNT_8ArgumentE"
)
"""Of a composable kernel with IsSplitK and NonTemporalLoadB."""


def test_stage_1_with_two_lds_buffers() -> None:
    assert facts_of(GEMM1) == Facts(
        kind=Kind.MX_FP4, stage=1, block_size=256, m=128, n=128, k=128, k1=16, bk1=16, pipeline=3,
        activation="silu",
        routed_weight=False, main_loop=True, tail="even", out="bf16",
    )  # fmt: skip


def test_stage_2_of_one_wave() -> None:
    facts = facts_of(GEMM2)
    assert (facts.stage, facts.block_size, facts.m, facts.n, facts.pipeline) == (2, 64, 32, 32, 1)
    assert facts.routed_weight


def test_half_output() -> None:
    assert facts_of(GEMM2.replace("EEEtNS_16", "EEEDF16_NS_16")).out == "f16"


def test_other_kernels_are_refused() -> None:
    with pytest.raises(UnknownKernelError, match="my_kernel"):
        facts_of("_Z9my_kernelv")


@pytest.mark.parametrize(
    ("main", "tail", "steps"),
    [("0", "0", 1), ("0", "1", 2), ("1", "0", 3), ("1", "1", 4)],
)
def test_fewest_steps_that_take_a_kernel(main: str, tail: str, steps: int) -> None:
    symbol = GEMM2.replace("ELb1ELNS_25InMemory", f"ELb{main}ELNS_25InMemory")
    facts = facts_of(symbol.replace("TailNumberE1E", f"TailNumberE{tail}E"))
    assert k_steps(facts) == steps
    assert {batch.gemm.k for batch in batches(facts)} == {256 * steps}


def test_a_block_scale_kernel() -> None:
    facts = facts_of(BLOCKSCALE)
    assert facts.kind is Kind.FP8_BLOCK
    assert (facts.stage, facts.block_size, facts.m, facts.n, facts.k) == (2, 128, 16, 128, 128)
    assert (facts.main_loop, facts.tail, facts.routed_weight) == (True, "odd", True)
    assert {batch.gemm.k for batch in batches(facts)} == {3 * 128}


def test_a_split_k_kernel() -> None:
    facts = facts_of(SPLIT)
    assert (facts.kind, facts.stage, facts.out) == (Kind.FP8_BLOCK, 1, "f32")
    assert (facts.split_k, facts.routed_weight) == (True, False)
    assert facts.name() == "gemm1_256x16x128x256_v1 nomain_even f32 fp8 block split"
    weighted = facts_of(SPLIT.replace("ELb1ELb1ELb0Ei", "ELb1ELb1ELb1Ei"))
    assert (weighted.split_k, weighted.routed_weight) == (True, True)
    # The same operation with K whole, as a newer composable kernel names it.
    whole = facts_of(SPLIT.replace("ELb1ELb1ELb0Ei", "ELb1ELb0ELb1Ei"))
    assert (whole.split_k, whole.routed_weight) == (False, True)


def test_a_split_k_kernel_runs_in_every_split_that_it_takes() -> None:
    facts = facts_of(SPLIT)
    many, *single, last = batches(facts)
    assert last.extreme
    assert (last.parts, last.gemm.k) == (2, 2 * 2 * 256)
    assert (many.tokens, many.parts, many.gemm.k) == (18, 2, 2 * 2 * 256)
    assert [(one.tokens, one.parts, one.gemm.k) for one in single] == [(1, 14, 14 * 2 * 256)]
    main = facts_of(SPLIT.replace("ELb0ELNS_25", "ELb1ELNS_25"))
    steps = {one.gemm.k // one.parts // 256 for one in batches(main)}
    assert steps == {steps for steps in SPLITS if steps > 2 and steps % 2 == 0}
    odd = facts_of(SPLIT.replace("TailNumberE1E", "TailNumberE0E"))
    assert batches(odd) == []  # a part of one step: nobody launches it
    assert not any(takes(odd, steps) for steps in SPLITS)


def test_splits_are_those_of_aiters_rule_for_the_recipes() -> None:
    found: dict[int, int] = {}
    for recipe in load_recipes(sorted(Project.here().recipes.glob("*.yaml"))):
        for features in recipe.features():
            for deployment in recipe.deployments(features):
                tokens = (deployment.tokens_min, deployment.tokens_max)
                for call in heuristic_calls(features, deployment.shape, tokens):
                    steps = call.gemm.k // (256 * call.parts)
                    if call.features.splitk and steps > 1:  # block_m 16: 256 values a step
                        found[steps] = max(found.get(steps, 0), call.parts)
    assert found
    assert {steps: parts for steps, parts in found.items() if SPLITS[steps] < parts} == {}
