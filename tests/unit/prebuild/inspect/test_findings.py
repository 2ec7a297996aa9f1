from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from prebuild.inspect.codeobject import KernelFacts, opcode_counts
from prebuild.inspect.elf import ElfFacts
from prebuild.inspect.findings import judge, load_policy
from tests.unit.prebuild.samples import kimi_plan

MODULE = kimi_plan(tp=[2], block_m=[128]).modules[0]
ELF = ElfFacts(
    soname=f"{MODULE.name}.abi3.so",
    needed=("libamdhip64.so.7", "libc.so.6"),
    run_paths=(),
    versions=(("libc.so.6", "GLIBC_2.14"), ("libc.so.6", "GLIBC_2.2.5")),
    undefined=("hipLaunchKernel", "PyErr_Format"),
    exported=(f"PyInit_{MODULE.name}",),
    bundle_targets=("gfx950",),
)
KERNEL = KernelFacts(
    symbol="_Zkernel",
    target="amdgcn-amd-amdhsa--gfx950",
    vgprs=256,
    agprs=0,
    sgprs=54,
    lds_bytes=32768,
    scratch_bytes=164,
    vgpr_spills=42,
    sgpr_spills=0,
    kernarg_bytes=200,
    code_bytes=21556,
    opcodes={"v_mfma_scale_f32_16x16x128_f8f6f4": 64},
)
KERNELS = {kernel.id: KERNEL for instance in MODULE.built for kernel in instance.kernels}


def findings(elf: dict[str, Any] | None = None, kernel: dict[str, Any] | None = None) -> str:
    kernels = {name: dataclasses.replace(KERNEL, **(kernel or {})) for name in KERNELS}
    facts = dataclasses.replace(ELF, **(elf or {}))
    return "\n".join(judge(MODULE, facts, kernels, load_policy()))


def test_a_good_module_has_no_finding() -> None:
    assert findings() == ""


def test_a_whole_module_starts_under_every_name_that_aiter_has_for_it() -> None:
    stock = MODULE.stock_name
    whole = dataclasses.replace(MODULE, name=stock)
    assert whole.starts == (stock, f"{stock}_")
    exported = tuple(f"PyInit_{name}" for name in reversed(whole.starts))
    facts = dataclasses.replace(ELF, exported=exported)
    assert judge(whole, facts, dict.fromkeys(KERNELS, KERNEL), load_policy()) == ()
    (finding,) = judge(whole, ELF, dict.fromkeys(KERNELS, KERNEL), load_policy())
    assert f"expected PyInit_{stock}, PyInit_{stock}_ alone" in finding
    split = dataclasses.replace(whole, features=dataclasses.replace(MODULE.features, splitk=True))
    assert split.starts == (stock,)
    assert MODULE.starts == (MODULE.name,), "a reduced one is loaded by ours alone"


@pytest.mark.parametrize(
    ("elf", "text"),
    [
        ({"bundle_targets": ("gfx942",)}, "GPU targets are ('gfx942',)"),
        ({"bundle_targets": ()}, "GPU targets are ()"),
        ({"needed": ("libtorch.so", "libc.so.6")}, "needs ['libtorch.so']"),
        ({"run_paths": ("/opt/rocm/lib",)}, "carries run paths ['/opt/rocm/lib']"),
        ({"versions": (("libc.so.6", "GLIBC_2.38"),)}, "needs glibc (2, 38)"),
        ({"exported": ("PyInit_other",)}, "exports ['PyInit_other']"),
        ({"undefined": ("_ZN2ck3fooEv",)}, "leaves symbols of CK undefined"),
    ],
)
def test_each_fault_of_the_shared_object_is_named(elf: dict[str, Any], text: str) -> None:
    assert text in findings(elf=elf)


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (
            {"target": "amdgcn-amd-amdhsa--gfx942"},
            "is for amdgcn-amd-amdhsa--gfx942, expected amdgcn",
        ),
        ({"opcodes": {"v_mfma_f32_16x16x32_bf16": 3}}, "has no v_mfma_scale_f32_16x16x128_f8f6f4"),
        ({"lds_bytes": 163841}, "takes 163841 bytes of LDS"),
        ({"vgprs": 513}, "takes 513 VGPRs"),
    ],
)
def test_each_fault_of_a_kernel_is_named(kernel: dict[str, Any], text: str) -> None:
    assert findings(kernel=kernel).count(text) == len(KERNELS)


def test_all_findings_come_at_once() -> None:
    found = findings(elf={"run_paths": ("/x",), "exported": ()}, kernel={"vgprs": 1000})
    assert len(found.splitlines()) == 2 + len(KERNELS)


def test_kernels_have_to_be_those_of_the_plan() -> None:
    (finding,) = judge(MODULE, ELF, {}, load_policy())
    assert "kernels differ from the plan" in finding


def test_floors_compare_numbers_not_text() -> None:
    versions = tuple(("libc.so.6", f"GLIBC_{v}") for v in ("2.9", "2.14", "PRIVATE"))
    assert dataclasses.replace(ELF, versions=versions).floor("GLIBC_") == (2, 14)
    assert dataclasses.replace(ELF, versions=()).floor("GLIBC_") == ()


def test_opcodes_are_counted_without_encodings() -> None:
    text = "0 <k>:\n\tv_add_u32_e32 v0, v1, v2\n\tv_add_u32_e64 v0, v1, v2\n\ts_endpgm\n"
    assert opcode_counts(text) == {"s_endpgm": 1, "v_add_u32": 2}
