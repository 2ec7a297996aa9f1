"""Small HIP programs, compiled for gfx950, run on the executor and compared with NumPy."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from prebuild.core import proc
from prebuild.gfx950 import codeobject, disassembly
from prebuild.gfx950.errors import DataRace, MemoryFault
from prebuild.gfx950.launch import Launch
from prebuild.gfx950.machine import Machine
from prebuild.gfx950.memory import Allocation, Memory
from prebuild.gfx950.program import build_program
from prebuild.toolchain import Toolchain

pytestmark = pytest.mark.toolchain

SOURCE = r"""
#include <hip/hip_runtime.h>
extern "C" __global__ void divide(const float* a, const float* b, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = a[i] / b[i] + __expf(a[i] * 0.25f);
}
template <bool kBarrier> __device__ void reverse_body(const int* in, int* out) {
    __shared__ int tile[256];
    tile[threadIdx.x] = in[blockIdx.x * 256 + threadIdx.x];
    if (kBarrier) __syncthreads();
    out[blockIdx.x * 256 + threadIdx.x] = tile[255 - threadIdx.x];
}
extern "C" __global__ void reverse(const int* in, int* out) { reverse_body<true>(in, out); }
extern "C" __global__ void racy(const int* in, int* out) { reverse_body<false>(in, out); }
extern "C" __global__ void collatz(const int* in, int* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int value = in[i], steps = 0;
    while (value != 1) { value = value & 1 ? 3 * value + 1 : value >> 1; ++steps; }
    out[i] = steps;
}
extern "C" __global__ void beyond(const int* in, int* out) {
    out[threadIdx.x] = in[threadIdx.x + 1];
}
extern "C" __global__ void add_all(const float* in, float* out) {
    unsafeAtomicAdd(out, in[blockIdx.x * blockDim.x + threadIdx.x]);
}
"""


@pytest.fixture(scope="module")
def code(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "programs.hip").write_text(SOURCE)
    options = ["-x", "hip", "--cuda-device-only", "--offload-arch=gfx950", "--no-gpu-bundle-output"]
    command = [toolchain.clangxx, *toolchain.hip_flags, "-O2", "-D__HIP_PLATFORM_AMD__=1", *options]
    proc.run([*command, "-c", "programs.hip", "-o", "programs.co"], cwd=folder, env=toolchain.env)
    return (folder / "programs.co").read_bytes()


Runner = Callable[..., None]


@pytest.fixture
def run(code: bytes, toolchain: Toolchain) -> Runner:
    def start(
        memory: Memory, kernel: str, *arguments: Allocation | int, blocks: int, threads: int = 256
    ) -> None:
        text = disassembly.disassemble(code, Path(toolchain.tool("llvm-objdump")))
        program = build_program(codeobject.parse(code), disassembly.parse(text), kernel)
        kernarg = b"".join(
            struct.pack("<i", one) if isinstance(one, int) else struct.pack("<Q", one.base)
            for one in arguments
        )
        launch = Launch(symbol=kernel, grid=(blocks, 1, 1), block=(threads, 1, 1), kernarg=kernarg)
        Machine(program, memory, launch).run()

    return start


def place(memory: Memory, name: str, data: np.ndarray) -> Allocation:
    return memory.allocate(name, np.ascontiguousarray(data).view(np.uint8))


def output(memory: Memory, size: int) -> Allocation:
    return memory.allocate("out", np.zeros(size, np.uint8), writable=True, defined=False)


def test_division_and_exponential(run: Runner) -> None:
    random = np.random.default_rng(1)
    a, b = random.uniform(-9, 9, (2, 512)).astype(np.float32)
    memory = Memory()
    out = output(memory, 2048)
    run(memory, "divide", place(memory, "a", a), place(memory, "b", b), out, blocks=2)
    exact = a.astype(np.float64) / b + np.exp(a.astype(np.float64) * 0.25)
    found = out.data.view(np.float32)
    assert not out.shadow[:2048].any()
    assert np.allclose(found, exact, rtol=1e-6, atol=1e-6)


def test_lds_across_waves(run: Runner) -> None:
    values = np.arange(512, dtype=np.int32) * 3
    memory = Memory()
    out = output(memory, 2048)
    run(memory, "reverse", place(memory, "in", values), out, blocks=2)
    assert (out.data.view(np.int32).reshape(2, 256) == values.reshape(2, 256)[:, ::-1]).all()


def test_a_missing_barrier(run: Runner) -> None:
    memory = Memory()
    out = output(memory, 1024)
    source = place(memory, "in", np.arange(256, dtype=np.int32))
    with pytest.raises(DataRace):
        run(memory, "racy", source, out, blocks=1)


def test_a_loop_that_each_lane_leaves_on_its_own(run: Runner) -> None:
    values = np.arange(1, 101, dtype=np.int32)
    memory = Memory()
    out = output(memory, 512)
    run(memory, "collatz", place(memory, "in", values), out, 100, blocks=1, threads=128)

    def steps(value: int) -> int:
        return 0 if value == 1 else 1 + steps(3 * value + 1 if value % 2 else value // 2)

    assert out.data.view(np.int32)[:100].tolist() == [steps(int(value)) for value in values]
    assert (out.shadow[400:] == 0xFF).all()


def test_one_element_beyond_the_input(run: Runner) -> None:
    memory = Memory()
    out = output(memory, 256)
    source = place(memory, "in", np.arange(64, dtype=np.int32))
    with pytest.raises(MemoryFault, match="in of 256 bytes"):
        run(memory, "beyond", source, out, blocks=1, threads=64)


def test_atomics_of_many_waves(run: Runner) -> None:
    values = np.full(512, 0.5, ml_dtypes.bfloat16).astype(np.float32)
    memory = Memory()
    out = memory.allocate("out", np.zeros(4, np.uint8), writable=True)
    run(memory, "add_all", place(memory, "in", values), out, blocks=2)
    assert out.data[:4].view(np.float32)[0] == 256.0
