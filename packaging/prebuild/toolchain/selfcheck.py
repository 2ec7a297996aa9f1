"""The proof that a toolchain works: a small kernel for the GPU, and a module linked around HIP."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from aiter_prebuilt import target
from prebuild.core import proc
from prebuild.toolchain.model import Toolchain

_KERNEL = """\
#include <hip/hip_runtime.h>
extern "C" __global__ void probe(float* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __expf(out[i]);
}
"""

_HOST = """\
#include <hip/hip_runtime.h>
#include <ck/ck.hpp>
#include <string>
#include <vector>
extern "C" int probe_devices() {
    int count = 0;
    std::vector<std::string> names{"one"};
    return hipGetDeviceCount(&count) == hipSuccess ? count + static_cast<int>(names.size()) : -1;
}
"""

_COMMON = ("-O2", "-std=c++20", "-D__HIP_PLATFORM_AMD__=1")


def compile_kernel(toolchain: Toolchain, folder: Path) -> Path:
    """Compile the kernel for the GPU alone; return the code object (an ELF of the GPU)."""
    source, output = folder / "probe.hip", folder / "probe.co"
    source.write_text(_KERNEL)
    device = ("-x", "hip", "--cuda-device-only", target.load().offload_arch)
    options = [*device, "--no-gpu-bundle-output", "-c", source.name, "-o", output.name]
    _run(toolchain, folder, toolchain.hip_flags, options)
    return output


def link_module(toolchain: Toolchain, folder: Path) -> Path:
    """Compile a host file against HIP, CK and the C++ library, and link it to a ``.so``."""
    source, output = folder / "probe.cpp", folder / "probe.so"
    source.write_text(_HOST)
    options = ["-fPIC", "-shared", source.name, "-o", output.name, "-lamdhip64"]
    _run(toolchain, folder, toolchain.host_flags, options)
    return output


def check(toolchain: Toolchain) -> None:
    """Run both in a scratch folder; raises :class:`CommandError` with the compiler's words."""
    with tempfile.TemporaryDirectory(prefix="prebuild-check-") as folder:
        compile_kernel(toolchain, Path(folder))
        link_module(toolchain, Path(folder))


def _run(toolchain: Toolchain, folder: Path, flags: Sequence[str], options: Sequence[str]) -> None:
    proc.run([toolchain.clangxx, *flags, *_COMMON, *options], cwd=folder, env=toolchain.env)
