"""What the executor knows although no kernel of ``mnemonics.toml`` has it, and why."""

from __future__ import annotations

_PROGRAMS = """
    ds_read_b32 ds_write_b32 global_atomic_add_f32 global_store_dword s_ff1_i32_b64 v_cmp_eq_u32
    v_cmp_ne_u32 v_mbcnt_hi_u32_b32 v_mbcnt_lo_u32_b32 v_readlane_b32
"""
_SPLIT_K = "buffer_atomic_add_f32 v_cvt_f32_f16_e32 v_cvt_f32_f16_sdwa v_cvt_pk_f16_f32"
_PENDING = """
    buffer_atomic_pk_add_bf16 buffer_atomic_pk_add_f16 buffer_load_dwordx3
    buffer_load_sbyte buffer_load_sshort buffer_load_ubyte buffer_load_ushort buffer_store_byte
    buffer_store_dwordx2 buffer_store_dwordx3 buffer_store_short ds_bpermute_b32 ds_permute_b32
    ds_read2_b32 ds_read2st64_b32 ds_read_b96 ds_write2_b64 ds_write2st64_b64 ds_write_b64
    ds_write_b96 global_atomic_pk_add_f16 global_load_dwordx3 global_load_sbyte global_load_sshort
    global_load_ubyte global_load_ushort global_store_byte global_store_dwordx2
    global_store_dwordx3 global_store_dwordx4 global_store_short s_abs_i32 s_ashr_i64
    s_bcnt1_i32_b32 s_bcnt1_i32_b64 s_bfe_u32 s_bitcmp0_b32 s_bitcmp1_b32 s_cbranch_execnz
    s_cbranch_scc0 s_cbranch_vccnz s_cmp_eq_i32 s_cmp_eq_u32 s_cmp_eq_u64 s_cmp_ge_u32
    s_cmp_gt_i32 s_cmp_gt_u32 s_cmp_le_i32 s_cmp_le_u32 s_cmp_lg_i32 s_cmp_lg_u32 s_cmp_lt_u32
    s_cmpk_eq_i32 s_cmpk_eq_u32 s_cmpk_ge_i32 s_cmpk_ge_u32 s_cmpk_gt_i32 s_cmpk_gt_u32
    s_cmpk_le_i32 s_cmpk_le_u32 s_cmpk_lg_i32 s_cmpk_lg_u32 s_cmpk_lt_i32 s_cmpk_lt_u32
    s_ff1_i32_b32 s_load_dwordx16 s_lshl1_add_u32 s_lshl2_add_u32 s_lshl3_add_u32 s_lshl4_add_u32
    s_lshr_b64 s_max_i32 s_max_u32 s_min_i32 s_min_u32 s_mul_hi_u32 s_mulk_i32 s_nand_b32
    s_nand_b64 s_nor_b32 s_nor_b64 s_not_b32 s_not_b64 s_or_saveexec_b64 s_orn2_b32 s_orn2_b64
    s_pack_ll_b32_b16 s_setprio s_sext_i32_i16 s_sub_u32 s_subb_u32 s_xnor_b32 s_xnor_b64
    s_xor_b32 s_xor_saveexec_b64 scratch_load_dwordx3 scratch_store_dwordx3 v_accvgpr_mov_b32
    v_accvgpr_read_b32 v_accvgpr_write_b32 v_add_co_u32 v_addc_co_u32 v_alignbit_b32
    v_alignbyte_b32 v_ashrrev_i64 v_bfe_i32 v_ceil_f32 v_cmp_eq_f32 v_cmp_eq_i32 v_cmp_eq_i64
    v_cmp_eq_u64 v_cmp_ge_f32 v_cmp_ge_i32 v_cmp_ge_i64 v_cmp_ge_u32 v_cmp_ge_u64 v_cmp_gt_f32
    v_cmp_gt_u64 v_cmp_le_f32 v_cmp_le_i64 v_cmp_le_u32 v_cmp_le_u64 v_cmp_lg_f32 v_cmp_lt_f32
    v_cmp_lt_i32 v_cmp_lt_i64 v_cmp_lt_u32 v_cmp_lt_u64 v_cmp_ne_i32 v_cmp_ne_i64 v_cmp_ne_u64
    v_cmp_neq_f32 v_cmp_nge_f32 v_cmp_nle_f32 v_cmp_nlg_f32 v_cmp_o_f32 v_cmp_u_f32 v_cvt_f16_f32
    v_cvt_f32_bf16 v_cvt_f32_i32 v_cvt_f32_u32 v_cvt_f32_ubyte0 v_cvt_f32_ubyte1
    v_cvt_f32_ubyte2 v_cvt_f32_ubyte3 v_cvt_pkrtz_f16_f32 v_cvt_u32_f32
    v_floor_f32 v_log_f32 v_lshrrev_b64 v_mad_i64_i32 v_mad_u32_u24 v_max3_f32 v_max_f32 v_max_i32
    v_max_u32 v_med3_f32 v_mfma_f32_16x16x16_bf16 v_mfma_f32_16x16x16_f16 v_mfma_f32_16x16x32_bf16
    v_mfma_f32_16x16x32_f16 v_mfma_f32_16x16x32_fp8_fp8 v_mfma_f32_32x32x16_bf16
    v_mfma_f32_32x32x16_f16 v_mfma_f32_32x32x16_fp8_fp8 v_mfma_f32_32x32x64_f8f6f4
    v_mfma_f32_32x32x8_bf16 v_mfma_f32_32x32x8_f16 v_mfma_scale_f32_32x32x64_f8f6f4 v_min3_f32
    v_min_f32 v_min_i32 v_min_u32 v_mul_hi_i32 v_mul_hi_u32 v_mul_u32_u24 v_not_b32 v_pk_mov_b32
    v_rcp_iflag_f32 v_rsq_f32 v_sqrt_f32 v_sub_co_u32 v_subb_co_u32 v_subrev_co_u32 v_subrev_f32
    v_trunc_f32 v_writelane_b32 v_xad_u32 v_xnor_b32
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
        _PENDING.split(),
        "not every family's kernels had been built when mnemonics.toml was made; what the list of"
        " a production build does not have either goes, here and in the executor",
    ),
}
"""Mnemonic, or name where no form of it is in any kernel -> reason."""
