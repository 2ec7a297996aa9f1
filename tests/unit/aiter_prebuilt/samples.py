"""Values that several tests of the runtime share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiter_prebuilt.call import ModuleKey, Shape
from aiter_prebuilt.host.aiter import AiterFacts, parse_signature
from aiter_prebuilt.host.facts import HostFacts
from aiter_prebuilt.host.gpu import GpuFacts
from aiter_prebuilt.host.hip import HipCopy, HipFacts
from aiter_prebuilt.wheel import manifest as m
from aiter_prebuilt.wheel.store import Entry

STOCK = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"

FEATURES = ModuleKey(
    a_dtype="fp4x2",
    b_dtype="fp4x2",
    c_dtype="b16",
    preshuffle=True,
    activation="silu",
    quant="per_1x32",
    routed_weight_stage=2,
)

SHAPE = Shape(model_dim=7168, inter_dim=1024, experts=384, topk=8)

SIGNATURE = (
    "ck_moe_stage1(hidden_states: torch.Tensor, topk: int, kernelName: Optional[str] = None, "
    "use_non_temporal_load: bool = False) -> None"
)


def kernel(*, main_loop: bool = True, tail: str = "even") -> m.Kernel:
    return m.Kernel(
        main_loop=main_loop,
        tail=tail,  # type: ignore[arg-type]
        symbol=f"kernel_{main_loop}_{tail}",
        vgprs=256,
        agprs=0,
        sgprs=100,
        lds_bytes=32768,
        scratch_bytes=0,
        vgpr_spills=0,
        sgpr_spills=0,
        code_bytes=20000,
    )


def instance(name: str = "one", stage: int = 1, **changes: Any) -> m.Instance:
    values: dict[str, Any] = {
        "name": name,
        "stage": stage,
        "block_m": 32,
        "n_per_block": 128,
        "k_per_block": 256,
        "prefetch_stages": 2,
        "tails": "parity",
        "reached_by": (m.Reach(block_m=32),),
        "kernels": (kernel(),),
    }
    return m.Instance(**{**values, **changes})


def module(**changes: Any) -> m.Module:
    values: dict[str, Any] = {
        "name": STOCK,
        "stock_name": STOCK,
        "features": FEATURES,
        "coverage": "full",
        "key": "ab" * 32,
        "file": f"modules/{STOCK}.abi3.so",
        "sha256": "0" * 64,
        "size": 1000,
        "gfx_targets": ("gfx950",),
        "cpython_floor": "3.10",
        "glibc_floor": "2.28",
        "needed": ("libamdhip64.so.7", "libc.so.6"),
        "recipes": ("kimi",),
        "instances": (instance(),),
        "contracts": ("one",),
    }
    return m.Module(**{**values, **changes})


def harvest(**changes: Any) -> m.Harvest:
    values: dict[str, Any] = {
        "aiter_version": "1.0", "aiter_sources": "0" * 64, "cpython": None, "torch": None,
    }  # fmt: skip
    return m.Harvest(**{**values, **changes})


def contract(**changes: Any) -> m.Contract:
    values: dict[str, Any] = {
        "signatures": {"ck_moe_stage1": SIGNATURE},
        "quant_types": {"per_1x32": 3},
        "activation_types": {"Silu": 0},
        "aliases": {"non_temporal_load": "use_non_temporal_load"},
    }
    return m.Contract(**{**values, **changes})


def manifest(*modules: m.Module, **changes: Any) -> m.Manifest:
    record = m.BuildRecord(
        toolchain="debian",
        compiler="clang",
        hip_version="7.2",
        ck_version="7.2",
        gfx_target="gfx950",
        device_flags=("-O3",),
        left_out=(m.LeftOut(what="-x", reason="unknown"),),
        packages=("clang-22=22.1.8",),
        source_commit="0" * 40,
        source_dirty=False,
        recipes={"kimi": "1" * 64},
    )
    values: dict[str, Any] = {
        "schema": m.SCHEMA_VERSION,
        "version": "0.1.0",
        "build": record,
        "contracts": {"one": contract()},
        "modules": modules or (module(),),
    }
    return m.Manifest(**{**values, **changes})


def installed(**changes: Any) -> AiterFacts:
    values: dict[str, Any] = {
        "root": "site/aiter",
        "csrc": "site/csrc",
        "version": "1.0",
        "signatures": {"ck_moe_stage1": parse_signature(SIGNATURE)},
        "quant_types": {"No": 0, "per_1x32": 3},
        "activation_types": {"Silu": 0, "Gelu": 1},
        "fingerprint": "f" * 64,
        "problems": (),
    }
    return AiterFacts(**{**values, **changes})


def hip(**changes: Any) -> HipFacts:
    copy = HipCopy(path="rocm/lib/libamdhip64.so.7", soname="libamdhip64.so.7")
    values: dict[str, Any] = {"mapped": (copy,), "candidate": None, "torch_pending": False}
    return HipFacts(**{**values, **changes})


def host(**changes: Any) -> HostFacts:
    values: dict[str, Any] = {
        "implementation": "cpython",
        "python": (3, 12),
        "free_threaded": False,
        "glibc": (2, 35),
        "gpu": GpuFacts(source="kfd", targets=("gfx950", "gfx950")),
        "hip": hip(),
        "aiter": installed(),
    }
    return HostFacts(**{**values, **changes})


def entry(found: m.Module | None = None) -> Entry:
    return Entry(
        folder=Path("site"),
        module=found or module(),
        contracts={"one": contract()},
        version="1.2.3",
    )
