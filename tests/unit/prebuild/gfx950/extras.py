"""What the executor knows although no kernel of ``mnemonics.toml`` has it, and why."""

from __future__ import annotations

_PROGRAMS = """
    ds_read_b32 ds_write_b32 global_atomic_add_f32 global_store_dword s_ff1_i32_b64 v_cmp_eq_u32
    v_cmp_ne_u32 v_mbcnt_hi_u32_b32 v_mbcnt_lo_u32_b32
"""
EXTRAS: dict[str, str] = dict.fromkeys(
    _PROGRAMS.split(), "the HIP programs of tests/integration/verify/test_programs.py"
)
"""Mnemonic, or name where no form of it is in any kernel -> reason."""
