"""Makes site folders with real shared objects: extensions, HIP stand-ins, manifests.

The extensions are built by the host's C compiler against CPython's limited API and linked to a
stand-in of ``libamdhip64.so.7``; their ``.hip_fatbin`` section holds a real offload bundle (with an
empty code object).  They answer with their own name, so a test sees which module took a call.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import struct
import subprocess
import sysconfig
from pathlib import Path

from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.wheel import manifest as m

ROOT = Path(__file__).parents[3]
STOCK = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"
REDUCED = f"{STOCK}__deployed_0a1b2c3d"
SOURCE = Path(__file__).parent / "extension.c"

_TAIL = (
    "w1: torch.Tensor, w2: torch.Tensor, sorted_token_ids: torch.Tensor, "
    "sorted_expert_ids: torch.Tensor, num_valid_ids: torch.Tensor, out: torch.Tensor, topk: int, "
    "kernelName: Optional[str] = None, w{s}_scale: Optional[torch.Tensor] = None, "
    "a{s}_scale: Optional[torch.Tensor] = None, block_m: Optional[int] = 32, "
    "sorted_weights: Optional[torch.Tensor] = None, quant_type: int = 0, activation: int = 0, "
    "splitk: {splitk} = 1, use_non_temporal_load: bool = False, dst_type: Optional[str] = None, "
    "is_shuffled: bool = True) -> None"
)
SIGNATURES = {
    "ck_moe_stage1": "ck_moe_stage1(hidden_states: torch.Tensor, "
    + _TAIL.format(s=1, splitk="Optional[int]"),
    "ck_moe_stage2": "ck_moe_stage2(inter_states: torch.Tensor, " + _TAIL.format(s=2, splitk="int"),
}


def compile_c(out: Path, source: Path, *arguments: str) -> Path:
    """Build a shared object; the parts of the command that matter are in ``arguments``."""
    out.parent.mkdir(parents=True, exist_ok=True)
    include = sysconfig.get_paths()["include"]
    command = ["gcc", "-shared", "-fPIC", "-O1", f"-I{include}", "-o", str(out), str(source)]
    subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    return out


def hip_runtime(out: Path, soname: str = "libamdhip64.so.7") -> Path:
    """Build a stand-in of the HIP runtime with the given SONAME."""
    source = out.parent / "hip.c"
    out.parent.mkdir(parents=True, exist_ok=True)
    source.write_text("int hipRuntimeGetVersion(int *v) { *v = 70200000; return 0; }\n")
    return compile_c(out, source, f"-Wl,-soname,{soname}")


def bundle(*targets: str) -> bytes:
    """Return an offload bundle with a host entry and an empty code object for each target."""
    identities = [b"host-x86_64-unknown-linux-gnu-"]
    identities += [f"hipv4-amdgcn-amd-amdhsa--{target}".encode() for target in targets]
    head = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", len(identities))
    bodies = b""
    for index, identity in enumerate(identities):
        size = 64 if index else 0
        head += struct.pack("<QQQ", 4096 + len(bodies), size, len(identity)) + identity
        bodies += b"\x7fELF".ljust(size, b"\1")[:size]
    return head.ljust(4096, b"\0") + bodies


def extension(
    out: Path,
    name: str,
    hip: Path | None,
    *,
    fat_binary: bytes | None = None,
    extra: tuple[str, ...] = (),
) -> Path:
    """Build an extension called ``name`` that is linked to ``hip`` (None: to no HIP runtime)."""
    out.parent.mkdir(parents=True, exist_ok=True)
    data = out.with_suffix(".bundle")
    data.write_bytes(bundle("gfx950") if fat_binary is None else fat_binary)
    reduced = ("-DREDUCED",) if "__deployed_" in name else ()
    header = out.with_suffix(".h")
    header.write_text("".join(f'#define DOC_{k} "{v}"\n' for k, v in SIGNATURES.items()))
    return compile_c(
        out,
        SOURCE,
        f"-DNAME={name}",
        f'-DBUNDLE="{data}"',
        "-include",
        str(header),
        *reduced,
        *(("-Wl,--no-as-needed", str(hip)) if hip is not None else ()),
        *extra,
    )


def describe(path: Path, folder: Path, name: str, **changes: object) -> m.Module:
    """Return the manifest's entry for a module file."""
    data = path.read_bytes()
    reduced = "__deployed_" in name
    values: dict[str, object] = {
        "name": name,
        "stock_name": name.partition("__")[0],
        "features": ModuleKey(
            a_dtype="fp4x2",
            b_dtype="fp4x2",
            c_dtype="b16",
            preshuffle=True,
            activation="silu",
            quant="per_1x32",
            routed_weight_stage=2,
        ),
        "coverage": "deployed" if reduced else "full",
        "key": hashlib.sha256(name.encode()).hexdigest(),
        "file": path.relative_to(folder).as_posix(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "gfx_targets": ("gfx950",),
        "cpython_floor": "3.10",
        "glibc_floor": "2.17",
        "needed": ("libamdhip64.so.7", "libc.so.6"),
        "recipes": ("fixture",),
        "instances": instances(reduced=reduced),
        "contracts": ("one",),
    }
    return m.Module(**{**values, **changes})  # type: ignore[arg-type]


def instances(*, reduced: bool) -> tuple[m.Instance, ...]:
    """Return instances like those of the A4W4 family; only the names and reaches are real."""
    found = []
    for stage, element_op in ((1, "MulABScaleShuffled"), (2, "MulABScaleExpertWeightShuffled")):
        for rows in (32, 64, 128):
            low = 257 if stage == 2 else 0
            activation = "_silu" if stage == 1 else ""
            name = (
                f"moe_ck2stages_gemm{stage}_256x{rows}x128x128_1x4_{element_op}_v3_Nswizzle0_"
                f"Quant3_MulRoutedWeight{stage - 1}{activation}_FP4X2_FP4X2_B16"
            )
            found.append(_instance(name, stage, rows, m.Reach(block_m=rows, inter_dim_min=low)))
            if stage == 2 and not reduced:
                small = name.replace("256x", "64x", 1)
                reach = m.Reach(block_m=rows, inter_dim_max=256)
                found.append(_instance(small, stage, rows, reach))
    return tuple(found)


def _instance(name: str, stage: int, block_m: int, reach: m.Reach) -> m.Instance:
    kernels = tuple(
        m.Kernel(
            main_loop=main_loop,
            tail=tail,  # type: ignore[arg-type]
            symbol=f"{name}.{main_loop}.{tail}",
            vgprs=256,
            agprs=0,
            sgprs=100,
            lds_bytes=32768,
            scratch_bytes=0,
            vgpr_spills=0,
            sgpr_spills=0,
            code_bytes=20000,
        )
        for main_loop in (True, False)
        for tail in ("odd", "even")
    )
    return m.Instance(
        name=name,
        stage=stage,  # type: ignore[arg-type]
        block_m=block_m,
        n_per_block=128,
        k_per_block=256,
        prefetch_stages=2,
        tails="parity",
        reached_by=(reach,),
        kernels=kernels,
    )


def write_manifest(folder: Path, *modules: m.Module) -> None:
    """Write the manifest of a package folder through the project's own writer."""
    record = m.BuildRecord(
        toolchain="debian",
        compiler="gcc",
        hip_version="none",
        ck_version="none",
        gfx_target="gfx950",
        device_flags=(),
        left_out=(),
        packages=(),
        source_commit="0" * 40,
        source_dirty=False,
        recipes={},
    )
    agreed = m.Contract(
        signatures=SIGNATURES,
        aliases={"non_temporal_load": "use_non_temporal_load"},
        quant_types={"No": 0, "per_1x32": 3},
        activation_types={"Silu": 0, "Gelu": 1},
    )
    whole = m.Manifest(
        schema=m.SCHEMA_VERSION,
        version="0.1.0",
        build=record,
        contracts={"one": agreed},
        modules=modules,
    )
    (folder / m.MANIFEST_NAME).write_text(m.dump(whole))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What is compiled once a test session."""

    folder: Path
    hip: Path
    reduced: Path
    full: Path
    builds: Path
    """What the stand-in AITER's compiler would make: a full module under the stock name."""


def make_parts(folder: Path) -> Parts:
    """Compile the shared pieces."""
    hip = hip_runtime(folder / "rocm" / "libamdhip64.so.7")
    jit_builds = folder / "builds"
    extension(jit_builds / f"{STOCK}.so", STOCK, None, extra=("-DJIT",))
    return Parts(
        folder=folder,
        hip=hip,
        reduced=extension(folder / f"{REDUCED}.abi3.so", REDUCED, hip),
        full=extension(folder / f"{STOCK}.abi3.so", STOCK, hip),
        builds=jit_builds,
    )


def make_site(site: Path, parts: Parts, *, full: bool = False, reduced: bool = True) -> Path:
    """Lay out site-packages as the wheel does; returns the package folder."""
    package = site / "aiter_prebuilt"
    ignore = shutil.ignore_patterns("__pycache__", "modules", "manifest.json")
    shutil.copytree(ROOT / "aiter_prebuilt", package, ignore=ignore)
    for name in ("aiter_prebuilt.pth", "aiter_prebuilt.start"):
        shutil.copy(ROOT / "packaging" / "site" / name, site)
    (package / "modules").mkdir()
    modules = []
    for wanted, source, name in ((reduced, parts.reduced, REDUCED), (full, parts.full, STOCK)):
        if wanted:
            copy = Path(shutil.copy(source, package / "modules"))
            modules.append(describe(copy, package, name))
    write_manifest(package, *modules)
    shutil.copytree(ROOT / "tests" / "standin", site, dirs_exist_ok=True)
    return package


def make_sysfs(root: Path, *versions: int) -> Path:
    """Make a KFD topology with a CPU node and one node a GPU (90500 is gfx950)."""
    for index, version in enumerate((0, *versions)):
        node = root / "class" / "kfd" / "kfd" / "topology" / "nodes" / str(index)
        node.mkdir(parents=True)
        (node / "properties").write_text(f"simd_count 0\ngfx_target_version {version}\n")
    return root
