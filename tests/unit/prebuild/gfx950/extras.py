"""What the executor knows although no kernel of ``mnemonics.toml`` has it, and why."""

from __future__ import annotations

_PROGRAMS = """
    ds_read_b32 ds_write_b32 global_atomic_add_f32 global_store_dword s_ff1_i32_b64 v_cmp_eq_u32
    v_cmp_ne_u32 v_mbcnt_hi_u32_b32 v_mbcnt_lo_u32_b32
"""
_SPLIT_K = "buffer_atomic_add_f32 v_cvt_f32_f16_e32 v_cvt_f32_f16_sdwa"
_NEIGHBOURS = """
    buffer_load_dwordx3 buffer_store_dwordx2 ds_read2_b32 ds_read2st64_b32 ds_write2_b64
    ds_write2st64_b64 ds_write_b64 global_load_dwordx3 s_bfe_u32 s_bitcmp0_b32 s_bitcmp1_b32
    s_cbranch_execnz s_cbranch_scc0 s_cmp_eq_i32 s_cmp_eq_u32 s_cmp_eq_u64 s_cmp_ge_u32
    s_cmp_gt_i32 s_cmp_gt_u32 s_cmp_le_i32 s_cmp_le_u32 s_cmp_lg_i32 s_cmp_lt_u32 s_cmpk_eq_i32
    s_cmpk_eq_u32 s_cmpk_ge_i32 s_cmpk_ge_u32 s_cmpk_gt_i32 s_cmpk_gt_u32 s_cmpk_le_i32
    s_cmpk_le_u32 s_cmpk_lg_i32 s_cmpk_lg_u32 s_cmpk_lt_i32 s_cmpk_lt_u32 s_load_dwordx16
    s_lshl1_add_u32 s_lshl2_add_u32 s_lshl3_add_u32 s_lshl4_add_u32 s_lshr_b64 s_max_u32
    s_min_i32 s_min_u32 s_mul_hi_u32 s_not_b32 s_not_b64 s_setprio s_sub_u32 s_subb_u32
    s_xor_b32 v_add_co_u32 v_addc_co_u32 v_alignbit_b32 v_cmp_eq_f32 v_cmp_eq_i32 v_cmp_ge_f32
    v_cmp_ge_i32 v_cmp_ge_u32 v_cmp_gt_f32 v_cmp_le_f32 v_cmp_le_u32 v_cmp_lt_f32 v_cmp_lt_i32
    v_cmp_lt_i64 v_cmp_lt_u32 v_cmp_ne_i32 v_cmp_neq_f32 v_cmp_nge_f32 v_cmp_nle_f32
    v_cvt_f32_i32 v_cvt_f32_u32 v_cvt_u32_f32 v_lshrrev_b64 v_mad_u32_u24 v_max_f32 v_max_i32
    v_max_u32 v_med3_f32 v_min_f32 v_min_i32 v_min_u32 v_mul_hi_u32 v_mul_u32_u24 v_not_b32
    v_xad_u32
"""
EXTRAS: dict[str, str] = {
    **dict.fromkeys(
        _PROGRAMS.split(), "the HIP programs of tests/integration/verify/test_programs.py"
    ),
    **dict.fromkeys(
        _SPLIT_K.split(),
        "stage 1 of block-scaled fp8 that splits K, which composable kernel has after 7.2.4: the"
        " results go through f16 and are added to float32",
    ),
    **dict.fromkeys(
        _NEIGHBOURS.split(),
        "what a compiler may put for what is listed (a comparison the other way round, a wider"
        " access, a carry, a clamp): the list is not of every kernel that is built, and releases"
        " are built by another compiler",
    ),
    "v_pk_mov_b32": "14 of the 331 production kernels had it; they are not in the list",
}
"""Mnemonic, or name where no form of it is in any kernel -> reason."""
