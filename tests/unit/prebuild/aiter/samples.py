"""A stand-in for an AITER checkout: what is read of one, nothing of AITER's own text."""

from __future__ import annotations

from pathlib import Path

from prebuild.core.contracts import load_contracts

FUSED = "BLOCK_SIZE_M = 32\n\n\ndef get_padded_M(M):\n    return M\n"


def checkout(folder: Path, *, fused: str = FUSED, sources: str = "kernels") -> Path:
    """Write a checkout whose contract is ours."""
    stubs = "".join(
        f"def {function.signature}: ...\n\n\n" for function in load_contracts()[0].functions
    )
    enums = "".join(
        f"enum class {name} : int {{ {', '.join(f'{key} = {n}' for key, n in values.items())} }};\n"
        for name, values in (
            ("QuantType", load_contracts()[0].quant_types),
            ("ActivationType", load_contracts()[0].activation_types),
        )
    )
    files = {
        "aiter/fused_moe.py": fused,
        "aiter/ops/moe_op.py": stubs,
        "aiter/jit/core.py": "FLAGS = ['-mllvm --amdgpu-kernarg-preload-count=32']\n\n\n"
        "def _needs_arch_rebuild(name): ...\n",
        "csrc/include/aiter_enum.h": enums,
        "csrc/ck_gemm_moe_2stages_codegen/kernels.cu": sources,
        "requirements.txt": "torch\nflydsl==0.9.1\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
