"""The installed toolchain at work: it compiles for gfx950, links with a low floor, and runs HIP."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from prebuild.core import proc
from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings, ToolchainChoice
from prebuild.toolchain import Toolchain, install, load, rocm
from prebuild.toolchain.selfcheck import check, compile_kernel, link_module

pytestmark = pytest.mark.toolchain

EM_AMDGPU = 224
EF_AMDGPU_MACH_GFX950 = 0x4F  # LLVM's AMDGPU usage guide, "ELF header e_flags"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.from_environ(os.environ)


@pytest.fixture(scope="module")
def toolchain(settings: Settings) -> Toolchain:
    return install(settings)


@pytest.fixture
def debian(toolchain: Toolchain) -> Toolchain:
    if toolchain.kind != "debian":
        pytest.skip("this machine uses its own ROCm installation")
    return toolchain


def test_load_gives_what_install_gave(toolchain: Toolchain, settings: Settings) -> None:
    assert load(settings) == toolchain
    assert toolchain.ck_licence is None or toolchain.ck_licence.is_file()


def test_kernel_is_a_code_object_for_gfx950(toolchain: Toolchain, tmp_path: Path) -> None:
    output = compile_kernel(toolchain, tmp_path)
    with output.open("rb") as stream:
        elf = ELFFile(stream)
        assert elf.header["e_machine"] in {EM_AMDGPU, "EM_AMDGPU"}
        assert elf.header["e_flags"] & 0xFF == EF_AMDGPU_MACH_GFX950
    text = proc.run([toolchain.tool("llvm-objdump"), "-d", output]).decode()
    assert "s_endpgm" in text
    assert "v_exp_f32" in text, "the kernel was compiled without the device libraries"


def test_module_has_a_low_floor_and_no_rpath(debian: Toolchain, tmp_path: Path) -> None:
    output = link_module(debian, tmp_path)
    dump = proc.run([debian.tool("llvm-readelf"), "-d", "-V", output]).decode()
    assert "[libamdhip64.so.7]" in dump
    assert "RUNPATH" not in dump
    assert "RPATH" not in dump
    floors = re.findall(r"GLIBC_(\d+)\.(\d+)", dump)
    assert floors
    assert max((int(major), int(minor)) for major, minor in floors) <= (2, 31)
    floors = re.findall(r"GLIBCXX_3\.4\.(\d+)", dump)
    assert max(map(int, floors), default=0) <= 28, "newer than GCC 10's libstdc++"


def test_outputs_name_no_folder_of_this_machine(debian: Toolchain, tmp_path: Path) -> None:
    """The same bytes from another source folder and with a toolchain in another place."""
    moved = tmp_path / "moved"
    shutil.copytree(debian.root, moved, symlinks=True, copy_function=link_or_copy)
    built = []
    for name, root in (("a", debian.root), ("bb", moved)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "f.hip").write_text(
            "#include <ck/ck.hpp>\n__global__ void k(float* o) { *o = sizeof(__FILE__); }\n"
            "void launch(float* o) { k<<<1, 1>>>(o); }\n"
        )
        flags = [flag.replace(str(debian.root), str(root)) for flag in debian.hip_flags]
        options = ["-x", "hip", "--offload-arch=gfx950", "-std=c++20", "-g", "-fPIC"]
        options += ["-fdebug-compilation-dir=."]
        proc.run([root / "bin/clang++", *flags, *options, "-c", "f.hip", "-o", "f.o"], cwd=folder)
        built.append((folder / "f.o").read_bytes())
        proc.run(
            [
                root / "bin/clang++",
                *debian.host_flags,
                "-shared",
                "f.o",
                "-o",
                "f.so",
                "-lamdhip64",
            ],
            cwd=folder,
        )
    assert str(debian.root).encode() not in built[0]
    assert built[0] == built[1]


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def test_the_real_hip_runtime_loads(debian: Toolchain, tmp_path: Path) -> None:
    """In the toolchain's Python, and in a program linked to HIP; neither needs a GPU."""
    output = link_module(debian, tmp_path)
    code = (
        "import ctypes, sys\n"
        f"module = ctypes.CDLL({str(output)!r})\n"
        "maps = open('/proc/self/maps').read()\n"
        "print('libamdhip64.so.7' in maps, module.probe_devices())\n"
    )
    assert debian.python is not None
    assert proc.run([debian.python, "-c", code]).decode().split() == ["True", "-1"]

    (tmp_path / "m.c").write_text(
        "#include <stdio.h>\nint hipRuntimeGetVersion(int*);\n"
        'int main() { int v = 0; int r = hipRuntimeGetVersion(&v); printf("%d %d", r, v); }\n'
    )
    compiler = debian.tool("clang")
    proc.run([compiler, *debian.host_flags, "m.c", "-o", "m", "-lamdhip64"], cwd=tmp_path)
    status, version = proc.run(debian.run_command(tmp_path / "m")).decode().split()
    major, minor, patch = (int(part) for part in debian.hip_version.split("."))
    assert (status, int(version)) == ("0", major * 10_000_000 + minor * 100_000 + patch)


def test_llvm_tools_run_from_anywhere(debian: Toolchain, tmp_path: Path) -> None:
    for name in (
        "llvm-objdump",
        "llvm-objcopy",
        "llvm-nm",
        "llvm-readelf",
        "llvm-mc",
        "llvm-strip",
    ):
        said = proc.run([debian.tool(name), "--version"], cwd=tmp_path).decode()
        assert "LLVM" in said, name
    assert b"LLD" in proc.run([debian.tool("ld.lld"), "--version"], cwd=tmp_path)
    proc.run([debian.tool("clang-offload-bundler"), "--version"], cwd=tmp_path)


def test_compiler_runs_without_help_from_the_environment(debian: Toolchain) -> None:
    done = subprocess.run(
        [debian.clangxx, "--version"], env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == debian.compiler_version


def rocm_tree(debian: Toolchain, root: Path, links: dict[str, Path]) -> Path:
    """A ROCm's layout with Debian's parts; the shell script stands for its clang's host side."""
    usr = debian.root / "usr"
    common = {
        "include/hip": usr / "include" / "hip",
        "share/hip": usr / "share" / "hip",
        "lib/libamdhip64.so": debian.root / "hip" / "lib" / "libamdhip64.so",
    }
    for name, target in {**common, **links}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    script = root / "llvm" / "bin" / "clang++"
    script.parent.mkdir(parents=True)
    sysroot = debian.root / "sysroot"
    gcc = sysroot / "usr/lib/gcc/x86_64-linux-gnu/10"
    script.write_text(
        f'#!/bin/sh\nexec "{debian.clangxx}" --sysroot="{sysroot}" --gcc-install-dir="{gcc}" "$@"\n'
    )
    script.chmod(0o755)
    return root


def bitcode(debian: Toolchain) -> Path:
    return debian.root / "usr/lib/llvm-22/lib/clang/22/amdgcn/bitcode"


def test_rocm_route_with_a_tree_of_rocms_layout(debian: Toolchain, tmp_path: Path) -> None:
    root = rocm_tree(
        debian,
        tmp_path / "rocm",
        {"include/ck": debian.ck_include / "ck", "amdgcn/bitcode": bitcode(debian)},
    )
    found = load(Settings(cache_dir=tmp_path, rocm_path=root, toolchain=ToolchainChoice.AUTO))
    assert found.kind == "rocm"
    assert found.hip_version == debian.hip_version
    assert str(tmp_path) not in found.identity
    check(found)
    shutil.rmtree(root / "include")
    forced = Settings(cache_dir=tmp_path, rocm_path=root, toolchain=ToolchainChoice.ROCM)
    with pytest.raises(ToolchainError) as caught:
        load(forced)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "place", ["lib/llvm/amdgcn/bitcode", "lib/llvm/lib/clang/23/lib/amdgcn/bitcode"]
)
def test_a_rocm_that_came_by_pip_is_a_toolchain(
    debian: Toolchain, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AMD's wheels: the compiler below lib/, its bitcode inside of it, no composable kernel."""
    site = tmp_path / "site-packages"
    root = site / "_rocm_sdk_devel"
    (root / "lib" / "llvm").mkdir(parents=True)
    (root / "llvm").symlink_to(Path("lib", "llvm"))
    rocm_tree(debian, root, {place: bitcode(debian)})
    module = site / "rocm_sdk"
    module.mkdir()
    (module / "__init__.py").touch()
    (module / "__main__.py").write_text(
        f"import sys\nassert sys.argv[1:] == ['path', '--root'], sys.argv\nprint({str(root)!r})\n"
    )
    whole = tmp_path / "aiter"
    checkout = whole / "3rdparty" / "composable_kernel"
    shutil.copytree(debian.ck_include / "ck", checkout / "include" / "ck")
    helper = whole / "3rdparty" / "ck_helper" / "ck"
    helper.mkdir(parents=True)
    (checkout / "include" / "ck" / "config.h").rename(helper / "config.h")
    monkeypatch.setattr(rocm, "DEFAULT", tmp_path / "no-rocm-of-the-machine")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    rocm._of_pip.cache_clear()
    try:
        alone = Settings(cache_dir=tmp_path, toolchain=ToolchainChoice.ROCM)
        with pytest.raises(ToolchainError, match="PREBUILD_AITER"):
            load(alone)
        found = load(Settings(cache_dir=tmp_path, aiter=whole))
    finally:
        rocm._of_pip.cache_clear()
    assert (found.kind, found.root) == ("rocm", root)
    assert str(tmp_path) not in found.identity
    check(found)
